"""torchtext's tokenizers, vocabularies and vectors on a current torch.

torchtext 0.18 is its last release: it installs beside a current torch, but its C++ library does not load there. Where it does
not, the two compiled modules are stood in for, in pure Python, before the package is imported; the package itself is
unmodified. Call `load()` before an `import torchtext` of your own. Its `datasets` are not covered: use the hub.

Source: torchtext 0.18.0 (BSD-3-Clause), archived in 2024.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy

EXTENSION, OPERATIONS = "torchtext._extension", "torchtext._torchtext"
# compiled operations that nothing here needs; whoever calls one is told so
ABSENT = (
    "BERTEncoder",
    "CLIPEncoder",
    "GPT2BPEEncoder",
    "Regex",
    "SentencePiece",
    "Vectors",
    "_build_vocab_from_text_file",
    "_build_vocab_from_text_file_using_python_tokenizer",
    "_load_token_and_vectors_from_file",
)


class Vocab:
    """Stands in for the compiled vocabulary; at module level, so that it pickles."""

    def __init__(self, tokens: Sequence[str], default_index: int | None = None):
        self.itos_: list[str] = []
        self.stoi_: dict[str, int] = {}
        self.default_index_ = default_index
        for token in tokens:
            self.append_token(token)

    def __len__(self) -> int:
        return len(self.itos_)

    def __contains__(self, token: str) -> bool:
        return token in self.stoi_

    def __getitem__(self, token: str) -> int:
        index = self.stoi_.get(token, self.default_index_)
        if index is None:
            raise RuntimeError(f"Token {token} not found and default index is not set")
        return index

    def lookup_indices(self, tokens: Sequence[str]) -> list[int]:
        return [self[token] for token in tokens]

    __call__ = lookup_indices

    def lookup_token(self, index: int) -> str:
        if not 0 <= index < len(self.itos_):
            raise RuntimeError(f"Specified index {index} is out of bounds for vocab of size {len(self.itos_)}")
        return self.itos_[index]

    def lookup_tokens(self, indices: Sequence[int]) -> list[str]:
        return [self.lookup_token(index) for index in indices]

    def set_default_index(self, index: int | None) -> None:
        self.default_index_ = index

    def get_default_index(self) -> int | None:
        return self.default_index_

    def append_token(self, token: str) -> None:
        self.insert_token(token, len(self.itos_))

    def insert_token(self, token: str, index: int) -> None:
        if token in self.stoi_:
            raise RuntimeError(f"Token {token} already exists in the Vocab with index: {self.stoi_[token]}")
        self.itos_.insert(index, token)
        self.stoi_ = {symbol: number for number, symbol in enumerate(self.itos_)} if index < len(self.stoi_) else self.stoi_
        self.stoi_[token] = index

    def get_itos(self) -> list[str]:
        return list(self.itos_)

    def get_stoi(self) -> dict[str, int]:
        return dict(self.stoi_)


class RegexTokenizer:
    """Stands in for the compiled tokenizer of the same name."""

    def __init__(self, patterns: Sequence[str], replacements: Sequence[str], to_lower: bool):
        self.rules = [(re.compile(pattern), by) for pattern, by in zip(patterns, replacements, strict=True)]
        self.to_lower = to_lower

    def forward(self, line: str) -> list[str]:
        line = line.lower() if self.to_lower else line
        for pattern, by in self.rules:
            line = pattern.sub(by, line)
        return line.split()


class Absent:
    def __init__(self, *_: object, **__: object):
        raise NotImplementedError("this operation of torchtext is compiled, and does not load on this torch")


def load_torchtext() -> ModuleType:
    """The module torchtext, imported; ValueError where it is not installed."""
    try:
        import torchtext
    except ModuleNotFoundError:
        raise ValueError("torchtext is not installed; pip install 'rnnbench[torchtext]'") from None
    except (OSError, ImportError, RuntimeError):  # its library expects another torch
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchtext"]:
            del sys.modules[name]
        extension, operations = ModuleType(EXTENSION), ModuleType(OPERATIONS)
        for name, value in {"Vocab": Vocab, "RegexTokenizer": RegexTokenizer, **dict.fromkeys(ABSENT, Absent)}.items():
            setattr(operations, name, value)
        sys.modules |= {EXTENSION: extension, OPERATIONS: operations}
        import torchtext
    torchtext.disable_torchtext_deprecation_warning()
    return torchtext


def torchtext_tokenizer(name: str) -> Callable[[str], list[str]]:
    """torchtext's tokenizer `name`."""
    load_torchtext()
    from torchtext.data.utils import get_tokenizer

    return get_tokenizer(name)


def torchtext_vocabulary(symbols: Sequence[str], unknown: int | None) -> Any:
    """A torchtext vocabulary with these symbols, in their order; its `get_itos()` gives them back. Strangers become
    `unknown`.
    """
    load_torchtext()
    from torchtext.vocab import vocab

    made = vocab(dict.fromkeys(symbols, 1))
    if unknown is not None:
        made.set_default_index(unknown)
    return made


def vectors_by_name(path: str, symbols: Sequence[str], cache: str) -> numpy.ndarray:
    """(symbols, width) float32 from a local file of vectors, read by torchtext, which keeps a copy of it in `cache`."""
    load_torchtext()
    from torchtext.vocab import Vectors

    return Vectors(name=path, cache=cache).get_vecs_by_tokens(list(symbols)).numpy()
