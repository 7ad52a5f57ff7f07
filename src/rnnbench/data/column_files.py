"""Files with a token a line, as CoNLL's: its columns between tabs or spaces, and an empty line after each sentence.

EU      NNP  B-ORG      the token is a column, the tag another; by default the first and the last
rejects VBZ  O
German  JJ   B-MISC     lines of -DOCSTART-, ranges of CoNLL-U (1-2), and comments (# ...) are left out

A comment stands before the first token of a sentence; after one, `# O` is a token if it has as many columns as the line before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..options import amount, shortened
from .tables import DataError
from .user_files import text_file

RANGE = re.compile(r"[0-9]+[-.][0-9]+")  # of CoNLL-U: words that are written as one, or that are not written
Tagged = tuple[list[list[str]], list[list[str]]]  # the tokens and the tags of each sentence


def read_columns(path: str, token: int, tag: int, encoding: str = "utf-8") -> Tagged:
    """The tokens and tags of each sentence of a file, from its columns `token` and `tag`, from 0, or backwards from -1.

    DataError, one line with the number of the line, where a column is missing.
    """
    tokens: list[list[str]] = [[]]
    tags: list[list[str]] = [[]]
    for where, fields in _lines(path, encoding):
        if not fields:
            if tokens[-1]:
                tokens.append([])
                tags.append([])
            continue
        try:
            word, label = fields[token], fields[tag]
        except IndexError:
            raise DataError(
                f"{where} has {amount(len(fields), 'column')}: {shortened(' '.join(fields), 40)!r}; "
                f"task.token_column={token} and "
                f"task.tag_column={tag} ask for others"
            ) from None
        if len(fields) < 2:
            raise DataError(f"{where} has one column, {shortened(fields[0], 40)!r}; expected a token and its tag")
        tokens[-1].append(word)
        tags[-1].append(label)
    if not tokens[-1]:
        tokens.pop()
        tags.pop()
    if not tokens:
        raise DataError(f"{path} has no sentence; expected a token and its tag a line, and an empty line after each sentence")
    return tokens, tags


def _lines(path: str, encoding: str) -> Iterator[tuple[str, list[str]]]:
    """(`a.conll: line 7`, the columns) of each line; no columns of an empty one."""
    before = 0  # columns of the token before in the sentence, where these stand between spaces
    with text_file(path, newline=None, encoding=encoding) as file:
        for number, line in enumerate(file, 1):
            text = line.rstrip("\n")
            fields = text.split("\t") if "\t" in text else [field for field in text.split(" ") if field]
            if text.startswith("# ") and "\t" not in text and len(fields) != before:
                continue
            if fields and (fields[0] == "-DOCSTART-" or ("\t" in text and RANGE.fullmatch(fields[0]))):
                continue
            before = len(fields) if "\t" not in text else 0
            yield f"{path}: line {number}", fields if text.strip() else []
