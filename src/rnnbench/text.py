"""The names of version 0.1 for `rnnbench.data.text`, for tasks of other packages. Goes with the next version."""

from __future__ import annotations

import warnings

from .data.text import (
    PAD,
    POOL,
    TOKENIZERS,
    UNKNOWN,
    Ragged,
    Tokenizer,
    Vocabulary,
    basic_english,
    batches_of,
    byte_pairs,
    characters,
    count_characters,
    encode_characters,
    evaluation_rows,
    need,
    read_vectors,
    rows_of,
    tokenizer,
    torchtext_vectors,
    training_batches,
    training_rows,
    utf8_bytes,
    whitespace,
)

__all__ = [
    "PAD",
    "POOL",
    "TOKENIZERS",
    "UNKNOWN",
    "Ragged",
    "Tokenizer",
    "Vocabulary",
    "basic_english",
    "batches_of",
    "byte_pairs",
    "characters",
    "count_characters",
    "encode_characters",
    "evaluation_rows",
    "need",
    "read_vectors",
    "rows_of",
    "tokenizer",
    "torchtext_vectors",
    "training_batches",
    "training_rows",
    "utf8_bytes",
    "whitespace",
]

warnings.warn("rnnbench.text is now rnnbench.data.text", DeprecationWarning, stacklevel=2)
