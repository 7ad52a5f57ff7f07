"""What a file is by its first bytes, where that is something else than its name says."""

from __future__ import annotations

import re

HEAD = 32  # bytes that tell what a file is
KINDS = {  # by what a file begins with: what it is, and what to do with it
    rb"\x1f\x8b|BZh[1-9]1AY&SY|\xfd7zXZ\0|\x28\xb5\x2f\xfd|7z\xbc\xaf\x27\x1c|Rar!\x1a": "a packed file, as .gz is; unpack it",
    rb"PK\x03\x04": "a zip file or a spreadsheet (.xlsx); unpack it, or save the sheet as CSV in UTF-8",
    rb"\xd0\xcf\x11\xe0": "a file of old Excel or Word; save it as CSV in UTF-8",
    rb"PAR1\x15": "a parquet file; give it the ending .parquet",
    rb"ARROW1\0\0|ORC\x0a|Obj\x01|\x89HDF|SQLite format 3\0|\x93NUMPY": "a table of another kind; save it as CSV",
    rb"version https://git-lfs": "a pointer of Git LFS in place of the file; fetch the file: git lfs pull",
    rb"%PDF-[0-9]": "a PDF; save its text",
    rb"(?s)\xff\xfe|\xfe\xff|.\0.\0|\0.\0.|\0\0\xfe\xff": "UTF-16 or UTF-32; save it as UTF-8",
}


def kind_of(head: bytes) -> str:
    """`a packed file; unpack it`: what the file is that begins so; empty where it may be text, or is nothing known."""
    return next((kind for begin, kind in KINDS.items() if re.match(begin, head)), "")
