"""Tables in files of the user's: what is read of them, and what is refused, with the file and its line."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from rnnbench.data import tables
from rnnbench.data.hub import read_split
from rnnbench.data.table_files import FILES, Reading, csv_rows, file_table, place
from rnnbench.data.tables import DataError, parquet_table
from rnnbench.data.user_files import content_digest

MARK = b"\xef\xbb\xbf"
ROWS = [("good", "pos"), ("bad", "neg")]


def refusal(path: Path) -> str:
    """The one line, of at most 400 characters, that a file is refused with, without its folder."""
    with pytest.raises(DataError) as error:
        file_table(str(path), "text", ["label"])
    line = str(error.value)
    assert "\n" not in line and len(line.replace(str(path.parent), "")) <= 400 and line.startswith(str(path))
    return line


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.csv", b"text,label\ngood,pos\nbad,neg\n", ROWS),
        ("a.csv", b"label,more,text\npos,1,good\nneg,2,bad\n", ROWS),
        ("a.csv", MARK + b"text,label\r\ngood,pos\r\nbad,neg", ROWS),
        ("a.csv", b"\ntext,label\n\n\ngood,pos\n\nbad,neg\n\n", ROWS),
        ("a.csv", b"text,label\rgood,pos\rbad,neg\r", ROWS),
        (
            "a.csv",
            b'text,label\n"good, or ""fine""","pos"\n"two\nlines",neg\n',
            [('good, or "fine"', "pos"), ("two\nlines", "neg")],
        ),
        ("a.csv", b'text,label\nhe said "no",neg\n 5" pipe,pos\n', [('he said "no"', "neg"), (' 5" pipe', "pos")]),
        ("a.csv", b"text,label\nnull,NA\n01,1\n1.0,null\n", [("null", "NA"), ("01", "1"), ("1.0", "null")]),
        ("a.csv", b"text,label\n" + b"x" * 9_000_000 + b",pos\n", [("x" * 9_000_000, "pos")]),
        (
            "a.tsv",
            b'text\tlabel\n"not good\tneg\nfine\tpos\nhe said "no"\tneg\nok\tpos\n',
            [('"not good', "neg"), ("fine", "pos"), ('he said "no"', "neg"), ("ok", "pos")],
        ),
        ("a.tsv", b'text\tlabel\n"a\tneg\nb"\tpos\n', [('"a', "neg"), ('b"', "pos")]),
        ("a.tsv", b'text\tlabel\n"Frozen" is great\tpos\n', [('"Frozen" is great', "pos")]),
        ("a.tsv", b'text\tlabel\n"he said ""no"""\t"neg"\n""\tpos\n', [('he said "no"', "neg"), ("", "pos")]),
        ("a.tsv", b'text\tlabel\n"two\nlines"\tpos\n"a\ttab"\tneg\n', [("two\nlines", "pos"), ("a\ttab", "neg")]),
        ("a.TSV", b"text\tlabel\ngood\tpos\nbad\tneg\n", ROWS),
        ("a.jsonl", MARK + b'{"text": "good", "label": "pos"}\n\n{"label": "neg", "text": "bad", "more": null}\n', ROWS),
        ("a.json", MARK + b' [{"text": "good", "label": "pos"}, {"text": "bad", "label": "neg"}]', ROWS),
        ("a.json", '{"text": "é\u2028", "label": true}\n'.encode(), [("é\u2028", True)]),
        ("a.tsv", b"text\tlabel\rgood\tpos\rbad\tneg\r", ROWS),
        ("a.jsonl", b'{"text": "good", "label": "pos"}\r{"text": "bad", "label": "neg"}\r', ROWS),
        ("a.jsonl", b'{"text": "good",\r "label": "pos"}\r\n{"text": "bad", "label": "neg"}\r\n', ROWS),
        ("a.csv", b"text,label\nPK,BZh\n%PDF,PAR1\n", [("PK", "BZh"), ("%PDF", "PAR1")]),
        ("a.csv", b"PAR1,text,label\n1,good,pos\n2,bad,neg\n", ROWS),
        ("a.jsonl", b'{"text": "\\ud83d\\ude00 \\u0000", "label": "pos"}\n', [("\U0001f600 \0", "pos")]),
    ],
)
def test_rows_are_what_stands_there(tmp_path: Path, name: str, content: bytes, rows: list[tuple[str, object]]):
    (tmp_path / name).write_bytes(content)
    table = file_table(str(tmp_path / name), "text", ["label"])
    assert [tuple(row.values()) for row in table.to_pylist()] == rows and table.column_names == ["text", "label"]


QUOTE = "a quote opens a field there"
LIST = "expected a list of objects, or an object a line"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "it is empty; expected a line of names, text, label among them"),
        ("a.csv", b"text,label\n", "has no rows"),
        (
            "a.csv",
            b"text,label\na b,x\na,b,x\n",
            "line 3 has 3 fields where the head line has 2: ['a', 'b', 'x']; expected a comma",
        ),
        ("a.csv", b'text,label\n"a\nb",x\n\na\n', "line 5 has 1 field where the head line has 2"),
        (
            "a.csv",
            b'text,label\n"not good,neg\nfine,pos\nhe said "no",neg\n',
            f"line 2: {QUOTE}, and does not close at the end of a field (line 4)",
        ),
        ("a.csv", b'text,label\na,x\n"Frozen" is great,pos\n', f"line 3: {QUOTE}"),
        ("a.csv", b'text,label\na,x\n"b,x\nc,y\n', f"line 3: {QUOTE}"),
        ("a.csv", b"text,label\na,x\nb,\n", "line 3 has no 'label'; fill it in"),
        ("a.csv", b"text,label\na,x\nb, \n", "line 3 has no 'label'"),
        ("a.csv", b"text,label,text\na,x,b\n", "2 columns are called 'text'; rename all but one"),
        ("a.csv", b"text,label,label\na,x,b\n", "2 columns are called 'label'"),
        ("a.csv", b"Text,label\na,x\n", "no column 'text'; did you mean 'Text'? there are: Text, label"),
        (
            "a.csv",
            b"text;label\na, b;x\n",
            "no column 'text'; there are: text;label. Its separator is a semicolon: task.separator=semicolon reads it",
        ),
        (
            "a.csv",
            b"text\tlabel\na\tx\n",
            "Its separator is a tab: task.separator=tab reads it",
        ),
        ("a.tsv", b"text,label\na,x\n", "Its separator is a comma: task.separator=comma reads it"),
        (
            "a.tsv",
            b"text\tlabel\na\tx\nb\tc\tx\n",
            "line 3 has 3 fields where the head line has 2: ['b', 'c', 'x']; expected a tab",
        ),
        ("a.tsv", b'text\tlabel\n"a\tx\nb\tc"\tx\nd\tx\n', f"line 2: {QUOTE} that ends in line 3, over line breaks and tabs"),
        ("a.csv", ",".join(f"column{number}" for number in range(1000)).encode(), "there are: column0, column1"),
        ("a.csv", "text,label\na,x\n".encode("utf-16"), "is not UTF-8 text but UTF-16 or UTF-32; save it as UTF-8"),
        ("a.tsv", "text\tlabel\na\tx\n".encode("utf-16-le"), "UTF-16"),
        ("a.jsonl", '{"text": "a", "label": 1}'.encode("utf-32"), "UTF-16 or UTF-32"),
        ("a.csv", b"text,label\na,x\n\xe9,x\n", "is not UTF-8: line 3 has the byte 0xe9; save it as UTF-8"),
        ("a.jsonl", b"1\n2\n", "line 1 is a whole number; expected an object with a value for each column"),
        ("a.json", b'[{"text": "a", "label": 1}, null]', "object 2 is null; expected an object"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n["a", 1]\n', "line 2 is a list; expected an object"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n\nrubbish\n', f"line 3 column 1: Expecting value; {LIST}"),
        ("a.json", b'[{"text": "a",\n "label": 1},\n}]', f"line 3 column 1: Expecting value; {LIST}"),
        ("a.json", b'{"rows": [\n{"text": "a"}]}', LIST),
        ("a.json", b"[" * 100_000, "nested too deeply"),
        ("a.jsonl", b'{"text": "a", "label": ' + b"9" * 5000 + b"}", "line 1: a number of too many digits"),
        ("a.jsonl", b'{"text": "a", "label": 1e400, "label": 2}', "line 1: an object has 'label' twice"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "b", "label": "x"}\n', "line 1 has no 'label'; fill it in, or leave the row out"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n{"text": "b", "label": null}\n', "line 2 has no 'label'"),
        ("a.jsonl", b'{"text": "a", "labels": 1}\n', "no column 'label'; did you mean 'labels'? there are: labels, text"),
        ("a.jsonl", b'{"text": 5, "label": 1}\n', "line 1 has a whole number for 'text'; expected text"),
        (
            "a.jsonl",
            b'{"text": "a", "label": "x"}\n{"text": "b", "label": 1}\n',
            "line 2 has a whole number for 'label'; expected text, as in line 1",
        ),
        (
            "a.jsonl",
            b'{"text": "a", "label": 1}\n{"text": "b", "label": true}\n',
            "line 2 has true or false for 'label'; expected a whole number, as in line 1",
        ),
        ("a.jsonl", b'{"text": "a", "label": 9223372036854775808}\n', "line 1 has a whole number of more than 64 bits"),
        ("a.json", b"[]", "has no rows"),
        (
            "a.csv",
            b"good,pos\nbad,neg\n",
            "there are: good, pos. Its first line is taken as the names of its columns; task.header=false reads",
        ),
        ("a.tsv", b"good\tpos\nbad\tneg\n", "Its first line is taken as the names of its columns"),
        ("a.csv", b"\xef\xbb\xbf", "it is empty"),
        ("a.jsonl", b"\n", "has no rows"),
        ("a.tsv", b"text\tlabel", "has no rows"),
        ("a.csv", b"text,label\na,\nb,\n", "line 2 has no 'label'"),
        ("a.csv", b"a\0b,label\n", "line 1 has the byte 0x00"),
        ("a.csv", b"text,label\na,x\nb,\0\n", "line 3 has the byte 0x00, which is no text; remove it"),
        ("a.tsv", b"text\tlabel\na\tx\nb\0\tx\n", "line 3 has the byte 0x00"),
        ("a.jsonl", b'{"text": "a", "label": "\0"}\n', "line 1 column 25: Invalid control character"),
        ("a.csv", b'{"text": "a", "label": 1}\n', "is JSON; give it the ending .json, or .jsonl with an object a line"),
        ("a.tsv", b'[\t{"text": "a", "label": 1}]', "is JSON"),
        (
            "a.jsonl",
            b'{"text": "a", "label": 1}\n{"text": "b\\ud83d", "label": 1}\n',
            "line 2 has an escape of half a character in 'text'",
        ),
        ("a.jsonl", b'{"text": "a", "label": 1}\n{"sentence": "b", "label": 1}\n', "line 2 has no 'text'; fill it in"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n{"text": ["b"], "label": 1}\n', "line 2 has a list for 'text'; expected text"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, name: str, content: bytes, said: str):
    (tmp_path / name).write_bytes(content)
    assert said in refusal(tmp_path / name)


def packed(name: str, content: bytes) -> bytes:
    """A zip file with one file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


def parquet(rows: int) -> bytes:
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"] * rows, "label": ["x"] * rows}), sink)
    return sink.getvalue().to_pybytes()


TABLE = b"text,label\n" + b"a,x\n" * 50
FOREIGN = {
    "gzip": (gzip.compress(TABLE, mtime=0), "a packed file, as .gz is; unpack it"),
    "bzip2": (bz2.compress(TABLE), "a packed file"),
    "xz": (lzma.compress(TABLE), "a packed file"),
    "zstandard": (pyarrow.Codec("zstd").compress(TABLE, asbytes=True), "a packed file"),
    "zip": (packed("a.csv", TABLE), "a zip file or a spreadsheet (.xlsx); unpack it, or save the sheet as CSV in UTF-8"),
    "xlsx": (packed("[Content_Types].xml", b"<x/>" * 50), "a spreadsheet (.xlsx)"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(40), "a file of old Excel or Word"),
    "parquet": (parquet(9), "a parquet file; give it the ending .parquet"),
    "empty parquet": (parquet(0), "a parquet file"),
    "sqlite": (b"SQLite format 3\0" + bytes(40), "a table of another kind"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a pointer of Git LFS in place of the file"),
    "pdf": (b"%PDF-1.4\n%\xe2\xe3\n", "a PDF"),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("ending", FILES)
def test_a_file_of_another_kind_is_called_what_it_is(tmp_path: Path, kind: str, ending: str):
    content, said = FOREIGN[kind]
    path = tmp_path / f"a{ending}"
    path.write_bytes(content)
    if ending == ".parquet" and "parquet" in kind:
        assert kind == "parquet" or "has no rows" in refusal(path)
        return
    assert f"is not {'parquet' if ending == '.parquet' else 'UTF-8 text'} but" in refusal(path) and said in refusal(path)


@pytest.mark.parametrize("ending", FILES)
def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path: Path, ending: str):
    (tmp_path / f"folder{ending}").mkdir()
    os.mkfifo(tmp_path / f"pipe{ending}")  # would wait for ever
    (tmp_path / f"device{ending}").symlink_to(os.devnull)
    (tmp_path / f"link{ending}").symlink_to(tmp_path / "nowhere")
    (tmp_path / f"circle{ending}").symlink_to(tmp_path / f"circle{ending}")
    assert "is a folder; expected a file" in refusal(tmp_path / f"folder{ending}")
    assert "is a pipe or a device, which cannot be read twice; save what it gives" in refusal(tmp_path / f"pipe{ending}")
    assert "is a pipe or a device" in refusal(tmp_path / f"device{ending}")
    assert "there is no such file" in refusal(tmp_path / f"link{ending}")
    assert "cannot be read: Too many levels of symbolic links" in refusal(tmp_path / f"circle{ending}")


@pytest.mark.parametrize("path", ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
def test_what_another_program_sends_is_no_file(tmp_path: Path, path: str):
    """Though it is one: `< reviews.csv` opens it, and a second process, or a second look, gets something else."""
    code = f"from rnnbench.data.user_files import user_file\nuser_file({path!r})"
    (tmp_path / "a").write_bytes(TABLE)
    with open(tmp_path / "a") as file:
        done = subprocess.run([sys.executable, "-c", code], stdin=file, capture_output=True, text=True, check=False)
    assert f"{path} is a pipe or a device" in done.stderr.splitlines()[-1]


def test_a_home_folder_is_found_in_quotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.csv").write_bytes(TABLE)
    assert len(file_table("~/a.csv", "text", ["label"])) == 50 and place("~/a.csv", 1) == "~/a.csv: line 3"
    monkeypatch.setenv("RNNBENCH_DATA", "~/sets")
    part(tmp_path / "sets/org/set/data", "train-0.parquet", {"text": ["a"]})
    assert len(read_split("org/set", "train", ["text"])) == 1
    monkeypatch.setenv("RNNBENCH_DATA", "~nosuchuser/sets")
    for read in (lambda: file_table("~nosuchuser/a.csv", "text"), lambda: read_split("org/set", "train", ["text"])):
        with pytest.raises(DataError, match="~nosuchuser is nobody's home folder; write the path in full"):
            read()


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("a.csv", b'\ntext,label\na,x\n"b\nc",x\n\nd,x\n', ["line 3", "line 4", "line 7"]),
        ("a.tsv", b"text\tlabel\n\na\tx\nb\tx\n", ["line 3", "line 4"]),
        ("a.jsonl", b'{"text": "a"}\n\n{"text": "b"}\n', ["line 1", "line 3"]),
        ("a.json", b'[{"text": "a"},\n\n{"text": "b"}]', ["object 1", "object 2"]),
        ("a.parquet", b"", ["row 1", "row 2"]),
    ],
)
def test_rows_have_the_names_that_the_user_knows(tmp_path: Path, name: str, content: bytes, places: list[str]):
    path = tmp_path / name
    path.write_bytes(content)
    assert [place(str(path), row) for row in range(len(places))] == [f"{path}: {where}" for where in places]


@pytest.mark.parametrize(
    ("name", "reading", "content", "rows"),
    [
        ("a.csv", Reading(), "v\n1\n\n2\n", ["v", "1", "", "2"]),
        ("a.csv", Reading(), '\n\nv\n1\n\n\n"2"\n\n\n', ["v", "1", "", "", "2"]),
        ("a.csv", Reading(header=False), "1\r\n\r\n2\r\n\r\n", ["1", "", "2"]),
        ("a.csv", Reading(quote="none"), "v\n1\n\n2\n\n", ["v", "1", "", "2"]),
        ("a.csv", Reading(separator=";"), "v\n1\n\n2", ["v", "1", "", "2"]),
        ("a.tsv", Reading(), "v\n1\n\n2\n", ["v", "1", "", "2"]),
        ("a.csv", Reading(), "v,w\n1,2\n\n3,4\n", ["v|w", "1|2", "3|4"]),
        ("a.tsv", Reading(), "v\tw\n1\t2\n\n3\t4\n", ["v|w", "1|2", "3|4"]),
        ("a.csv", Reading(), 'v\n"1\n\n2"\n3\n', ["v", "1\n\n2", "3"]),
    ],
)
def test_an_empty_line_is_an_empty_field_of_the_only_column(
    tmp_path: Path, name: str, reading: Reading, content: str, rows: list[str]
):
    (tmp_path / name).write_text(content, newline="")
    found = list(csv_rows(f"{tmp_path}/{name}", reading))
    assert ["|".join(fields) for _, fields in found] == rows
    lines = content.splitlines()
    assert all(lines[int(line.split()[1]) - 1].strip('"').startswith(fields[0][:1]) for line, fields in found)


def test_a_byte_order_mark_is_not_of_the_content(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"text")
    (tmp_path / "b").write_bytes(MARK + b"text")
    (tmp_path / "c").write_bytes(MARK[:2] + b"text")
    one, other, third = (content_digest(tmp_path / name) for name in "abc")
    assert one == other != third and one == "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1"


# --- parquet


def part(folder: Path, name: str, columns: dict | pyarrow.Table) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    table = columns if isinstance(columns, pyarrow.Table) else pyarrow.table(columns)
    pyarrow.parquet.write_table(table, folder / name)
    return folder / name


@pytest.mark.parametrize(
    ("names", "whole"),
    [
        (["train-00000-of-00001.parquet"], True),
        (["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"], True),
        (["train-00000-of-00002-0a1b.parquet", "train-00001-of-00002-9f.parquet"], True),
        (["train-0.parquet", "train-more.parquet"], True),
        (["train-00000-of-00002.parquet"], False),
        (["train-00001-of-00002.parquet"], False),
        (["train-00000-of-00003.parquet", "train-00002-of-00003.parquet"], False),
        (["train-00000-of-00001.parquet", "train-00000-of-00002.parquet", "train-00001-of-00002.parquet"], False),
        (["train-00000-of-00001-0a1b.parquet", "train-00000-of-00001-9f.parquet"], False),
    ],
)
def test_a_split_is_read_as_a_whole_or_not_at_all(tmp_path: Path, names: list[str], whole: bool):
    for number, name in enumerate(names):
        part(tmp_path / "set", name, {"t": [f"text {number}"]})
    if whole:
        assert len(read_split(str(tmp_path / "set"), "train", ["t"])) == len(names)
        return
    with pytest.raises(DataError, match=r"split 'train' has the files train-.*; expected each of . parts once: fetch"):
        read_split(str(tmp_path / "set"), "train", ["t"])


def test_parts_of_different_types_are_named(tmp_path: Path):
    part(tmp_path, "train-0.parquet", {"t": ["a"], "n": pyarrow.array([1], "int8")})
    part(tmp_path, "train-1.parquet", {"t": ["b"], "n": [2]})  # wider: the same values
    part(tmp_path, "train-2.parquet", {"t": pyarrow.array(["c"]).dictionary_encode(), "n": [3]})
    assert read_split(str(tmp_path), "train", ["t", "n"]).to_pydict() == {"t": ["a", "b", "c"], "n": [1, 2, 3]}
    part(tmp_path, "train-3.parquet", {"t": ["d"], "n": ["4"]})
    with pytest.raises(DataError, match=r"train-3.parquet has t string, n string where train-0.parquet has t string, n int8"):
        read_split(str(tmp_path), "train", ["t", "n"])


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path):
    twice = pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, names=["text", "text"])
    path = part(tmp_path, "train-0.parquet", twice.append_column("label", pyarrow.array([1])))
    assert "2 columns are called 'text'; rename all but one" in refusal(path)
    with pytest.raises(DataError, match="2 columns are called 'text'"):
        read_split(str(tmp_path), "train", ["text"])


SAME = ["x " * 500] * 5000  # 5 MB that are some kB on disk


@pytest.mark.parametrize("column", [pyarrow.array(SAME), pyarrow.array(SAME).dictionary_encode()], ids=["text", "dictionary"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_what_a_file_grows_to_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: pyarrow.Array, dictionary: bool
):
    table = pyarrow.table({"text": column, "label": [0] * len(column)})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", use_dictionary=dictionary, compression="zstd")
    read = []
    monkeypatch.setattr(tables, "_decoded", lambda batch, real=tables._decoded: (read.append(len(batch)), real(batch))[1])
    assert len(parquet_table([tmp_path / "a.parquet"], ["text", "label"])) == 5000 and sum(read) == 5000
    monkeypatch.setattr(tables, "LEAST_BOUND", 2_000_000)
    read.clear()
    assert "allowed: 100 times its size, at least 2,000,000" in refusal(tmp_path / "a.parquet")
    assert sum(read) <= 3 * tables.BATCH  # not all was unpacked, and nothing where the footer says so
    assert len(parquet_table([tmp_path / "a.parquet"], ["label"])) == 5000  # of what is not asked for nothing is counted


def test_a_file_may_be_large_where_it_is_large_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables, "LEAST_BOUND", 1)
    part(tmp_path, "a.parquet", {"text": [json.dumps({"n": number}) for number in range(3000)], "label": [0] * 3000})
    assert len(file_table(str(tmp_path / "a.parquet"), "text", ["label"])) == 3000
