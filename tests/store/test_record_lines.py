"""Records that are read by their lines are what they are when read whole, whatever stands in the text."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnbench.store.find import find_runs
from rnnbench.store.record import digest, parse_record, record_text
from rnnbench.store.record_lines import LONGEST_KEPT, RecordReader
from tests.support.records import filled


def sealed(**fields: Any) -> dict[str, Any]:
    body = copy.deepcopy(filled({"schema": 1, **fields}))
    body.pop("checksum", None)
    return {**body, "checksum": digest(body)}


BODY = sealed(
    odd={
        "ünï": 'é\u2028\\"\t\x7f',
        "numbers": [1, 1.0, True, -0.0, 1e-7, 1e300, 10**25],
        "": {},
        'a": "b': 'x",\n  "y": 1',
        "deep": {"a": {"b": []}},
    }
)
TEXT = record_text(BODY)
LINE = '\n "seed": 0,'

ODD: dict[str, str | bytes] = {
    "as it is written": TEXT,
    "bytes": TEXT.encode(),
    "in one line": json.dumps(BODY),
    "indented by four": json.dumps(BODY, indent=4),
    "ends of lines of Windows": TEXT.replace("\n", "\r\n"),
    "a byte order mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "UTF-16": TEXT.encode("utf-16"),
    "not UTF-8": TEXT.encode().replace(b"schema", b"sch\xffma"),
    "two members in a line": TEXT.replace(LINE, '\n "seed": 0, "more": 1,'),
    "two members of one name": TEXT.replace(LINE, f"{LINE}{LINE.replace('0', '1')}"),
    "a member less": TEXT.replace(LINE, ""),
    "a comma less": TEXT.replace(LINE, LINE[:-1]),
    "a comma more": TEXT.replace("\n}", ",\n}"),
    "no checksum": record_text({key: value for key, value in BODY.items() if key != "checksum"}),
    "no member": "{}",
    "no object": "[1]",
    "nothing": "",
    "more behind it": TEXT + "{}",
    "not a number": TEXT.replace(LINE, '\n "seed": NaN,'),
    "half a letter": TEXT.replace(LINE, '\n "seed": "\\ud800",'),
    "an end of a line within a text": TEXT.replace(LINE, '\n "seed": "a,\n "b": 0,'),
    "a tab within a name": TEXT.replace('"config"', '"con\tfig"'),
    "a brace too many": TEXT.replace(LINE, '\n "seed": 0},'),
    "a long member": record_text(sealed(long=["x" * LONGEST_KEPT])),
}


def what_comes(read: Any, text: str | bytes) -> str:
    """What is read, with the types and the order of all that is in it, or the kind of error."""
    try:
        return repr(read(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return "UnicodeError" if isinstance(error, UnicodeError) else type(error).__name__


def assert_same(text: str | bytes) -> None:
    reader = RecordReader()
    reader.parse(TEXT)
    expected = what_comes(parse_record, text)
    for _ in range(2):  # the second time from what is kept
        assert what_comes(reader.parse, text) == expected
        assert what_comes(reader.parse, TEXT) == what_comes(parse_record, TEXT)


@pytest.mark.parametrize("name", ODD)
def test_what_comes_is_what_comes_of_the_whole(name: str) -> None:
    assert_same(ODD[name])


PIECES = st.sampled_from(
    ['"', ",", "{", "}", "\n", "\n ", ',\n "', '": ', "\\", "1", "é", "[", "]", "\t", " ", LINE, '\n  "a": 1,']
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, len(TEXT)), st.integers(0, 30), PIECES), min_size=1, max_size=3))
def test_so_it_is_when_pieces_are_exchanged(changes: list[tuple[int, int, str]]) -> None:
    text = TEXT
    for start, length, piece in changes:
        text = text[:start] + piece + text[start + length :]
    assert_same(text)


def test_what_records_share_is_read_once_and_stands_in_memory_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):
        folder = tmp_path / "adding" / "lstm" / f"s{seed}-0"
        folder.mkdir(parents=True)
        config = {**BODY["config"], "seed": seed}
        (folder / "record.json").write_text(record_text(sealed(seed=seed, config=config)), encoding="utf-8")
    read: list[str] = []
    loads = json.loads
    monkeypatch.setattr(json, "loads", lambda text: (read.append(text), loads(text))[1])
    runs, complaints = find_runs([tmp_path])
    assert not complaints and [run.config["seed"] for run in runs] == [0, 1, 2]
    first, second, third = (run.record for run in runs)
    assert first and second and third
    assert second["config"]["model"] is first["config"]["model"] and third["scores"] is first["scores"]
    later = read[read.index('{"seed": 1}') :]
    assert set(later) <= {
        f'{{"{name}": {value}}}' for name in ("seed", "checksum") for value in (1, 2, *map(json.dumps, checksums(runs)))
    }


def checksums(runs: Any) -> list[str]:
    return [run.record["checksum"] for run in runs]
