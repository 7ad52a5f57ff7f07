"""Every YAML file that is read: what is no plain YAML, or stands for too much, is refused in one line, and soon."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.options import BadOption
from rnnbench.store import yaml_files
from rnnbench.store.yaml_files import read_yaml
from tests.conftest import everything

LAUGHS = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
BAD = {
    "a billion laughs": (LAUGHS.encode(), "more than 200000 values"),
    "laughs in keys": (LAUGHS.replace("[", "{").replace("]", "}").replace("x,", "").replace("{x", "{x: 1").encode(), ""),
    "itself": (b"runs: &runs [*runs]\n", "stands for nothing before it"),
    "deep": (b"x: " + b"[" * 100_000, "nested more than 50 deep"),
    "deep by lines": ("".join(" " * i + "a:\n" for i in range(500)).encode(), "nested more than 50 deep"),
    "not UTF-8": (b"# one\nx: d\xe9j\xe0\n", "line 2: not UTF-8"),
    "5,000 nines": (b"x: " + b"9" * 5000, "line 1: a number of 5000 signs"),
    "hexadecimal": (b"# one\nx: 0x" + b"f" * 5000, "line 2: a number of 5002 signs"),
    "base 60": (b"x: 1" + b":1" * 100_000, "line 1: a number of 200001 signs"),
    "a tagged number": (b"x: !!int '" + b"9" * 5000 + b"'", "line 1: a number of 5000 signs"),
    "cut off": (b'x: "a', "line 1"),
    "large": (b"#" * 1_000_001, "larger than 1 MB"),
    "no settings": (b"- 1\n", "settings expected"),
}
READERS = {
    "sweep": ("bad.yaml", ["sweep", "bad.yaml"]),
    "space": ("bad.yaml", ["tune", "adding", "lstm", "--trials", "1", "--space", "bad.yaml"]),
    "table": ("table/grid.yaml", ["table", "table"]),
    "config folder": ("conf/task/bad.yaml", ["train", "--config-dir", "conf", "task=bad", "model=gru"]),
    "sweep of a config folder": ("conf/task/bad.yaml", ["train", "-m", "--config-dir", "conf", "task=bad", "model=gru"]),
    "run": ("runs/adding/gru/s0-x/config.yaml", ["train", "--again", "runs/adding/gru/s0-x"]),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_file_is_one_line(bad, reader, capfd):
    path, words = READERS[reader]
    data, said = BAD[bad]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(data)
    before, began = everything(Path()), time.monotonic()
    assert main(words) == 2
    out, err = capfd.readouterr()
    assert time.monotonic() - began < 30
    assert out == "" and err.count("\n") == 1 and len(err) <= 401
    assert path.split("/")[-1] in err
    assert said in err or (reader == "run" and bad == "no settings")
    assert everything(Path()) == before


def test_aliases_stand_for_what_they_name(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: &a [1, 2]\nb: *a\nc: {<<: {d: 3}}\n")
    assert read_yaml(path) == {"a": [1, 2], "b": [1, 2], "c": {"d": 3}}


@pytest.mark.parametrize("least, fine", [(9, True), (8, False)])
def test_aliases_count_as_what_they_stand_for(least, fine, tmp_path, monkeypatch):
    path = tmp_path / "a.yaml"
    path.write_text("a: &a [1, 2]\nb: *a\n")  # the mapping, two keys, and twice three values
    monkeypatch.setattr(yaml_files, "MOST_VALUES", least)
    if fine:
        assert read_yaml(path) == {"a": [1, 2], "b": [1, 2]}
    else:
        with pytest.raises(BadOption, match="line 2: stands for more than 8 values"):
            read_yaml(path)


def test_config_folders_whose_files_name_each_other(capfd):
    Path("conf/task").mkdir(parents=True)
    Path("conf/task/one.yaml").write_text("defaults: [two]\n")
    Path("conf/task/two.yaml").write_text("defaults: [one]\n")
    assert main(["train", "--config-dir", "conf", "task=one", "model=gru"]) == 2
    assert "name each other" in capfd.readouterr().err
