"""Text as numbers: tokenizers, a vocabulary, ragged rows, and batches of rows of similar length."""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy

from ..options import shortened
from .torchtext_bridge import torchtext_tokenizer, vectors_by_name
from .user_files import BYTE_ORDER_MARK, text_file

PAD = "<pad>"
UNKNOWN = "<unk>"
POOL = 100  # batches sorted by length together; of phrases (SST-2, batches of 64) 97 % is then text, with 50 it was 94 %
PICKLED = (".pt", ".pth", ".pkl", ".pickle")
LARGEST = float(numpy.finfo(numpy.float32).max)


def characters(text: str) -> list[str]:
    """One token a character (a Unicode code point), white space included."""
    return list(text)


def whitespace(text: str) -> list[str]:
    """The runs of characters between white space, as they stand: for text that is tokenised already."""
    return text.split()


def basic_english(text: str) -> list[str]:
    """Lower case; ' . , ( ) ! ? become words of their own; ; : and line breaks of HTML part words; " vanishes.

    Gives what torchtext's tokenizer of this name gives, so that its vocabularies still fit.
    """
    text = re.sub(r"<br />|[;:]", " ", text.lower().replace('"', ""))
    return re.sub(r"(['.,()!?])", r" \1 ", text).split()


Tokenizer = Callable[[str], list[str]]
TOKENIZERS: dict[str, Tokenizer] = {tokenizer.__name__: tokenizer for tokenizer in (characters, whitespace, basic_english)}


def utf8_bytes(text: str) -> list[str]:
    """One token a byte of the text's UTF-8, as the character of that number."""
    return list(text.encode().decode("latin-1"))


def tokenizer(name: str, texts: Iterable[str] = (), size: int = 0) -> Tokenizer:
    """The tokenizer `name`; `bpe` learns its `size` symbols from `texts`, which should be training text only.

    Raises ValueError, one line, where the package that it needs is not installed.
    """
    if name == "bytes":
        return utf8_bytes
    if name == "bpe":
        return byte_pairs(texts, size)
    if name == "jieba":
        return _jieba()
    if name == "torchtext_basic_english":
        return torchtext_tokenizer("basic_english")
    return TOKENIZERS[name]


def need(module: str, extra: str) -> ModuleType:
    """The module of a package that only the extra `extra` installs; ValueError gives the line that installs it."""
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise ValueError(f"{module} is not installed; pip install 'rnnbench[{extra}]'") from None


def byte_pairs(texts: Iterable[str], size: int) -> Tokenizer:
    """Byte-pair encoding over UTF-8 bytes, learnt from `texts` until there are `size` symbols; no text is unknown to it.

    Source: Sennrich, Haddow & Birch 2016, arXiv:1508.07909; over bytes as in Radford et al. 2019 (GPT-2).
    """
    need("tokenizers", "tokenizers")
    import tokenizers

    if size < 256:
        raise ValueError(f"max_vocabulary={size} is too small for bpe; allowed: at least 256, one for each byte")
    pairs = tokenizers.Tokenizer(tokenizers.models.BPE())
    pairs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    pairs.train_from_iterator(texts, trainer)

    def cut(text: str) -> list[str]:
        return pairs.encode(text).tokens

    return cut


def _jieba() -> Tokenizer:
    import logging
    import tempfile
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it still spells regular expressions in the old way
        jieba = need("jieba", "zh")
    jieba.setLogLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:  # it would leave its cache where anybody may write, and trust what lies there
        jieba.dt.tmp_dir = folder
        jieba.initialize()

    def words(text: str) -> list[str]:
        return [word for word in jieba.lcut(text) if not word.isspace()]

    return words


class Vocabulary:
    """Symbols and their numbers; `symbols[number]` is the symbol. Build it from training text only."""

    def __init__(self, symbols: Iterable[str]):
        """ValueError where a symbol stands twice."""
        self.symbols = tuple(symbols)
        self.numbers = {symbol: number for number, symbol in enumerate(self.symbols)}
        if len(self.numbers) < len(self.symbols):
            twice = Counter(self.symbols).most_common(1)[0][0]
            raise ValueError(f"the vocabulary has {twice!r} twice; allowed: each symbol once")
        self.unknown = self.numbers.get(UNKNOWN)

    @classmethod
    def build(
        cls,
        counts: Mapping[str, int],
        min_frequency: int = 1,
        max_size: int | None = None,
        specials: Sequence[str] = (PAD, UNKNOWN),
    ) -> Vocabulary:
        """The specials, then the symbols of `counts`, the most frequent first and equals by their text.

        Symbols seen fewer than `min_frequency` times are left out, and so are the rarest where there would be
        more than `max_size` in all, specials included.
        """
        kept = [symbol for symbol, count in counts.items() if count >= min_frequency and symbol not in specials]
        kept.sort(key=lambda symbol: (-counts[symbol], symbol))
        return cls([*specials, *kept][:max_size])

    def __len__(self) -> int:
        return len(self.symbols)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.symbols == other.symbols

    def encode(self, tokens: Iterable[str], strict: bool = False) -> list[int]:
        """The numbers of `tokens`; a stranger becomes `<unk>`, or is named by a ValueError if `strict` or without `<unk>`."""
        if strict or self.unknown is None:
            try:
                return [self.numbers[token] for token in tokens]
            except KeyError as error:
                raise ValueError(f"{error.args[0]!r} is not in the vocabulary of {len(self)} symbols") from None
        return [self.numbers.get(token, self.unknown) for token in tokens]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """The symbols of `numbers`."""
        return [self.symbols[number] for number in numbers]

    def save(self, path: Path) -> None:
        """A JSON list of the symbols, in the order of their numbers."""
        path.write_text(json.dumps(self.symbols, ensure_ascii=False, indent=0), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """What `save` wrote; ValueError for anything else."""
        symbols = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
            raise ValueError(f"{path} is no vocabulary; allowed: a JSON list of texts")
        return cls(symbols)


def read_vocabulary(path: str, specials: Sequence[str] = (UNKNOWN,)) -> Vocabulary:
    """The tokens of a text file, one a line, or of JSON, a list of them, in the order of their numbers. Those of `specials`
    that they lack are put behind them. `get_itos()` of a torchtext vocabulary gives such a list.

    ValueError, one line, for anything else, and for a pickled vocabulary, which could run code.
    """
    if path.lower().endswith(PICKLED):
        raise ValueError(
            f"{path} is pickled, which can run code, and is not read; where torchtext loads it, write its tokens: "
            'json.dump(vocab.get_itos(), open("vocab.json", "w")), and name that file'
        )
    with text_file(path, newline="\n") as file:
        if path.lower().endswith(".json"):
            try:
                tokens = json.load(file)
            except (json.JSONDecodeError, RecursionError) as error:
                raise ValueError(f"{path} cannot be read: {error}; expected a JSON list of tokens") from None
        else:
            tokens = [line.rstrip("\r\n") for line in file]
    if not isinstance(tokens, list) or not tokens or not all(isinstance(token, str) for token in tokens):
        raise ValueError(f"{path} is no vocabulary; expected a token a line, or a JSON list of tokens")
    if "" in tokens:
        raise ValueError(f"{path}: token {tokens.index('') + 1} is empty; expected a token a line, or a JSON list of tokens")
    try:
        return Vocabulary([*tokens, *(token for token in specials if token not in tokens)])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_vectors(path: str, symbols: Sequence[str], width: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(symbols, width) float32 pretrained vectors from a GloVe text file, and (symbols,) bool: which of them it has; else
    zeros.

    A line is a word and its numbers, as in GloVe, whose words may hold spaces; the head line of word2vec's text form is left
    out. ValueError, one line, for a file that cannot be read, whose vectors are not `width` wide, or hold what is no number.
    """
    rows = {symbol: row for row, symbol in enumerate(symbols)}
    vectors, found = numpy.zeros((len(symbols), width), numpy.float32), numpy.zeros(len(symbols), bool)
    number = 0
    with text_file(path, newline="\n") as file:
        for number, line in enumerate(file, 1):
            if line.isspace():
                continue
            word, *numbers = line.rstrip().split(" ")
            if number == 1 and len(numbers) == 1 and word.isdecimal() and numbers[0].isdecimal():
                continue
            if len(numbers) > width and not all(map(_is_number, numbers[:-width])):
                word, numbers = " ".join([word, *numbers[:-width]]), numbers[-width:]
            if len(numbers) != width:
                raise ValueError(f"{path}: line {number} has a vector of {len(numbers)} numbers; the embedding is {width} wide")
            if (row := rows.get(word)) is not None and not found[row]:
                if wrong := [field for field in numbers if not _is_number(field)]:
                    raise ValueError(
                        f"{path}: line {number} has {shortened(wrong[0])!r} in the vector of {shortened(word)!r}; "
                        "expected a word and its numbers"
                    )
                vectors[row], found[row] = numpy.array(numbers, numpy.float32), True
    if not found.any():
        one = "; it is one line: expected a line feed behind each vector" if number == 1 else ""
        raise ValueError(f"{path} has no vector for any symbol, of {len(symbols):,}{one}")
    return vectors, found


def _is_number(field: str) -> bool:
    """Whether `field` is a number that float32 holds."""
    try:
        return abs(float(field)) <= LARGEST
    except ValueError:
        return False


def torchtext_vectors(path: str, symbols: Sequence[str], folder: str) -> numpy.ndarray:
    """As `read_vectors`, read by torchtext, which keeps a copy of the file in `folder`.

    ValueError, one line, for what `read_vectors` takes and torchtext does not: words that hold spaces, a byte order mark.
    """
    with open(path, "rb") as file:
        if file.read(3) == BYTE_ORDER_MARK:
            raise ValueError(
                f"{path} begins with a byte order mark, which torchtext takes for a part of its first word; remove it"
            )
    try:
        return vectors_by_name(path, symbols, folder)
    except RuntimeError as error:
        raise ValueError(f"{path} cannot be read by torchtext ({shortened(str(error), 150)}); take another tokenizer") from None


def _code_points(text: str) -> numpy.ndarray:
    return numpy.frombuffer(text.encode("utf-32-le"), dtype="<u4")


def count_characters(text: str) -> dict[str, int]:
    """How often each character stands in `text`."""
    counts = numpy.bincount(_code_points(text), minlength=1)
    return {chr(point): int(counts[point]) for point in counts.nonzero()[0]}


def encode_characters(text: str, vocabulary: Vocabulary) -> numpy.ndarray:
    """(characters,) int32: the numbers of a long text's characters; a stranger becomes `<unk>`."""
    table = numpy.full(0x110000, vocabulary.numbers[UNKNOWN], numpy.int32)
    for symbol, number in vocabulary.numbers.items():
        if len(symbol) == 1:
            table[ord(symbol)] = number
    return table[_code_points(text)]


class Ragged:
    """Rows of different lengths, end to end: row r is `values[offsets[r]:offsets[r + 1]]`."""

    def __init__(self, values: numpy.ndarray, offsets: numpy.ndarray):
        self.values, self.offsets = values, offsets

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Ragged:
        """From rows of whole numbers below 2**31."""
        offsets = numpy.zeros(len(rows) + 1, numpy.int64)
        numpy.cumsum([len(row) for row in rows], out=offsets[1:])
        values = numpy.fromiter((value for row in rows for value in row), numpy.int32, count=int(offsets[-1]))
        return cls(values, offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @functools.cached_property
    def lengths(self) -> numpy.ndarray:
        """(rows,) int64."""
        return numpy.diff(self.offsets).astype(numpy.int64)

    @functools.cached_property
    def by_length(self) -> numpy.ndarray:
        """(rows,) row numbers, shortest row first, equals as they stand."""
        return numpy.argsort(self.lengths, kind="stable")

    def padded(self, rows: numpy.ndarray, pad: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        """The `rows` as one (B, T) int64 matrix filled up with `pad`, and their lengths (B,); T is the longest."""
        lengths = self.lengths[rows]
        steps = numpy.arange(lengths.max(initial=0))
        inside = steps < lengths[:, None]
        matrix = numpy.full(inside.shape, pad, numpy.int64)
        matrix[inside] = self.values[(self.offsets[rows][:, None] + steps)[inside]]
        return matrix, lengths


def training_batches(rows: int, batch_size: int) -> int:
    """How many full batches an epoch has; one smaller batch where there are fewer rows than `batch_size`."""
    return max(1, rows // batch_size)


def training_rows(tokens: Ragged, index: int, batch_size: int, seed: int) -> numpy.ndarray:
    """(B,) row numbers of training batch `index`: a pure function; rows of one batch have similar lengths.

    The epoch is `index // training_batches`. Each has its own permutation; the rows that fill no batch sit this
    epoch out; pools of 100 batches are sorted by length and cut, and the batches of the epoch are shuffled again.
    """
    epoch, place = divmod(index, training_batches(len(tokens), batch_size))
    return _epoch(tokens, epoch, batch_size, seed)[place]


@functools.lru_cache(maxsize=2)  # an epoch's order costs milliseconds and serves all its batches
def _epoch(tokens: Ragged, epoch: int, batch_size: int, seed: int) -> numpy.ndarray:
    random = numpy.random.Generator(numpy.random.Philox(numpy.random.SeedSequence((seed, epoch))))
    batches = training_batches(len(tokens), batch_size)
    rows = random.permutation(len(tokens))[: batches * batch_size]
    pools = numpy.arange(len(rows)) // (POOL * batch_size)
    order = rows[numpy.lexsort((tokens.lengths[rows], pools))].reshape(batches, -1)
    return order[random.permutation(batches)]


def evaluation_rows(tokens: Ragged, index: int, batch_size: int) -> numpy.ndarray:
    """(B,) row numbers of evaluation batch `index`: by length, in the same order every time, each row once."""
    return tokens.by_length[index * batch_size : (index + 1) * batch_size]


def batches_of(tokens: Ragged, split: str, batch_size: int) -> int:
    """How many batches one pass over the rows of `split` has."""
    return training_batches(len(tokens), batch_size) if split == "train" else -(-len(tokens) // batch_size)


def rows_of(tokens: Ragged, split: str, index: int, batch_size: int, seed: int) -> numpy.ndarray:
    """(B,) row numbers of batch `index` of `split`; see `Task.batch`."""
    if split == "train":
        return training_rows(tokens, index, batch_size, seed)
    return evaluation_rows(tokens, index, batch_size)
