"""What is fuzzed: for each kind of input a strategy that makes one, and a function that holds the law for it in a folder.

A kind is `(strategy, function)`: `function(place, value)` raises AssertionError, or TooLong, where the law is broken.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import safetensors.torch
import torch
import yaml
from hypothesis import strategies as st

from rnnbench.config.schema import CONF, option_keys
from rnnbench.options import BadOption
from rnnbench.search.space import load_space
from rnnbench.store.record import digest
from tests.fuzz.law import check, run

QUICK = ["task=adding", "model=gru", "task.length=6", "task.sequences=20", "model.hidden_size=4", "train.batch_size=4"]
QUICK += ["train.steps=2", "train.eval_every=1", "tracker=none"]
Kind = tuple[st.SearchStrategy[Any], Callable[[Path, Any], int | None]]

# Parts

ODD = [
    "",
    " ",
    "\t",
    "\n",
    "\r\n",
    "\0",
    "\x1b[2J",
    "\x1b]0;x\x07",
    "\ufeff",
    "\u202e",
    "é",
    "日本",
    "🜚",
    "=1+1",
    "@x",
    "-1",
    "${oc.env:HOME}",
]
ODD += [
    "${x}",
    "${hydra:runtime.cwd}",
    "_target_",
    "!!python/object/apply:os.system [x]",
    "&a [*a]",
    "*a",
    "../../x",
    "/dev/full",
]
ODD += [
    "/dev/zero",
    "~",
    "null",
    "NaN",
    "inf",
    "-inf",
    "1e400",
    "9" * 5000,
    "[" * 200,
    "{" * 200,
    "'" * 3,
    '"',
    "\\",
    "%s",
    "{}",
    "1,2",
]
odd = st.sampled_from(ODD)
text = st.one_of(odd, st.text(max_size=12), st.builds(lambda a, b: a + b, st.text(max_size=4), odd))
number = st.one_of(st.integers(), st.integers(-3, 9), st.floats(), st.sampled_from([2**31, 2**63, 2**64, 10**40, 1e308]))
scalar = st.one_of(st.none(), st.booleans(), number, text)
plain = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4), max_leaves=8
)


def deep(levels: int) -> Any:
    nested: Any = 1
    for _ in range(levels):
        nested = [nested]
    return nested


def mutated_bytes(draw: st.DrawFn, whole: bytes) -> bytes:
    """`whole` with some bytes changed, cut off, doubled, or with something odd put in."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["flip", "cut", "insert", "double", "begin"])):
            case "flip" if data:
                data[at] = draw(st.integers(0, 255))
            case "cut":
                del data[at:]
            case "insert":
                data[at:at] = draw(odd).encode("utf-8", "replace")
            case "double":
                data += data[at : at + 300]
            case "begin":
                data[:0] = draw(st.sampled_from([b"\xef\xbb\xbf", b"\xff\xfe", b"\x80\x04", b"\0" * 8, b"\x1f\x8b"]))
    return bytes(data)


@st.composite
def mutated(draw: st.DrawFn, *whole: bytes) -> bytes:
    return mutated_bytes(draw, draw(st.sampled_from(whole)))


def replaced(draw: st.DrawFn, tree: Any, values: st.SearchStrategy[Any]) -> Any:
    """A copy of nested plain values with one of them, or one key, replaced, removed or added."""
    tree = json.loads(json.dumps(tree))
    node = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
        if not keys:
            return draw(values)
        key = draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and node[key] and draw(st.booleans()):
            node = node[key]
            continue
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                node[key] = draw(values)
            case "remove":
                del node[key]
            case "add" if isinstance(node, dict):
                node[draw(text)] = draw(values)
        return tree


# Overrides of the command line

KEYS = option_keys({"task": "adding", "model": "lstm"})
FLAGS = [
    "-m",
    "--cfg",
    "--cfg=job",
    "--resolve",
    "--info",
    "--help",
    "--hydra-help",
    "--shell-completion",
    "--config-dir=.",
    "-p",
    "--again",
]
OTHERS = ["hydra.mode=MULTIRUN", "hydra.job.num=x", "hydra.run.dir=x", "hydra/launcher=basic", "hydra.verbose=true"]
OTHERS += [
    "hydra.launcher.workers=0",
    "+train.steps=1",
    "++train.steps=1",
    "~train.clip",
    "~task",
    "model@x=gru",
    "task=glob(*)",
]
OTHERS += ["train.steps=choice(1,2)", "train.steps=range(1,3)", "train.learning_rate=interval(0,1)", "train.steps=shuffle(1,2)"]


@st.composite
def overrides(draw: st.DrawFn) -> list[str]:
    words = list(QUICK)
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from(KEYS) | text)
        value = draw(
            st.one_of(odd, st.integers(-1, 9).map(str), st.sampled_from(["true", "null", "[]", "[1,2]", "{a:1}"]), text)
        )
        word = draw(st.one_of(st.just(f"{key}={value}"), st.sampled_from(OTHERS), text, st.just(key)))
        words.insert(draw(st.integers(0, len(words))), word.replace("\0", ""))
    if draw(st.integers(0, 3)) == 0:
        words.insert(draw(st.integers(0, len(words))), draw(st.sampled_from(FLAGS)))
    return words


def check_overrides(place: Path, words: list[str]) -> int:
    """Composed and shown, never trained: what is asked for may take days. The exit code."""
    shown = {"--cfg", "--cfg=job", "--info", "--help", "--hydra-help", "--shell-completion"} & set(words)
    return check(["train", *words, *([] if shown else ["--cfg=job"])], place)[0]


# YAML: rules of a search, grids, a user's files, a run's settings

GRID = yaml.safe_load(
    """
    title: A table
    about: Some text.
    columns: {lstm: {title: LSTM, words: [model=lstm]}, gru: {title: GRU, words: [model=gru]}}
    rows:
      adding:
        title: Adding
        priority: 1
        words: [task=adding, task.length=6, train.steps=2, model.hidden_size=4]
        metric: score
        margin: 0.01
        cells: {lstm: [], gru: []}
        scales: {paper: {words: [], seeds: {first: 2}, minutes: 1}}
    """
)
REPORTED = {
    "sources": {"one": {"title": "A paper", "authors": "Somebody", "year": 2018, "where": "arXiv:0"}},
    "values": {"adding/lstm": [{"value": 0.1, "source": "one", "at": "Table 1", "sure": "seen", "estimator": "single"}]},
}
TASK_FILE = {"defaults": ["adding"], "task": {"length": 6}, "train": {"steps": 3}}
MODEL_FILE = {"name": "mine", "mechanism": "gru", "hidden_size": 6}
SPACE = yaml.safe_load((CONF / "search" / "default.yaml").read_text(encoding="utf-8"))
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@st.composite
def yaml_text(draw: st.DrawFn, tree: Any) -> bytes:
    match draw(st.sampled_from(["values", "values", "bytes", "plain", "bomb"])):
        case "values":
            return yaml.safe_dump(replaced(draw, tree, plain), allow_unicode=True).encode("utf-8", "replace")
        case "bytes":
            return mutated_bytes(draw, yaml.safe_dump(tree).encode())
        case "plain":
            return yaml.safe_dump(draw(plain), allow_unicode=True).encode("utf-8", "replace")
    return (BOMB + yaml.safe_dump(tree)).encode()


def check_grid(place: Path, content: bytes) -> int:
    (place / "grid.yaml").write_bytes(content)
    (place / "reported.yaml").write_text(yaml.safe_dump(REPORTED), encoding="utf-8")
    return check(["table", "."], place)[0]


def check_space(place: Path, content: bytes) -> None:
    (place / "space.yaml").write_bytes(content)
    try:
        load_space(str(place / "space.yaml"))
    except BadOption as error:
        assert len(str(error).splitlines()) == 1 and len(str(error)) < 400 + len(str(place)), error
        check(["tune", "adding", "gru", "--trials", "1", "--space", "space.yaml"], place, codes=(2,))


def check_config_dir(place: Path, content: bytes) -> int:
    (place / "task").mkdir()
    (place / "task" / "mine.yaml").write_bytes(b"# @package _global_\n" + content)
    return check(["train", "task=mine", *QUICK[1:], "--config-dir=.", "--cfg=job"], place)[0]


def check_model_file(place: Path, content: bytes) -> int:
    (place / "model").mkdir()
    (place / "model" / "mine.yaml").write_bytes(content)
    return check(["train", QUICK[0], "model=mine", *QUICK[2:], "--config-dir=.", "--cfg=job"], place)[0]


@functools.cache
def finished_run() -> Path:
    """A folder of runs with one that is finished and one with a checkpoint; made once."""
    place = Path(tempfile.mkdtemp(prefix="fuzz"))
    for words in (["seed=1"], ["seed=2"]):
        code, out, err = run(["train", *QUICK, *words], place, seconds=120)
        assert code == 0, out + err
    return place


def runs_of(place: Path) -> Path:
    """A copy of the finished runs in `place`, and the folder of the first."""
    shutil.copytree(finished_run() / "runs", place / "runs")
    return next(iter(sorted((place / "runs").glob("*/*/*"))))


def check_run_config(place: Path, content: bytes) -> None:
    run_folder = runs_of(place)
    (run_folder / "config.yaml").write_bytes(content)
    name = str(run_folder.relative_to(place))
    check(["compare"], place)
    check(["train", "--again", name], place, codes=(0, 1, 2), writes=True)


# Records, as results.jsonl and record.json hold them

VERBS = [["compare"], ["compare", "--format", "csv"], ["status"], ["table", "bai2018", "--rows", "jsb"]]


def finished_record() -> dict[str, Any]:
    path = next(iter(sorted((finished_run() / "runs").glob("*/*/*/record.json"))))
    return dict(json.loads(path.read_text(encoding="utf-8")))


@st.composite
def records(draw: st.DrawFn) -> bytes:
    record = finished_record()
    match draw(st.sampled_from(["values", "values", "bytes", "plain", "deep"])):
        case "values":
            record = replaced(draw, record, plain)
        case "bytes":
            return mutated_bytes(draw, json.dumps(record).encode())
        case "plain":
            record = draw(plain)
        case "deep":
            return json.dumps(record)[:-1].encode() + b', "x": ' + b"[" * 10**5 + b"]" * 10**5 + b"}"
    if isinstance(record, dict) and draw(st.booleans()):
        body = {key: value for key, value in record.items() if key != "checksum"}
        with contextlib.suppress(ValueError, TypeError):  # what no record can hold has no checksum
            record = {**body, "checksum": digest(body)}
    return json.dumps(record).encode()


def check_record(place: Path, content: bytes) -> None:
    (runs_of(place) / "record.json").write_bytes(content)
    for verb in VERBS:
        check(verb, place)


def check_results(place: Path, content: bytes) -> int:
    (place / "results.jsonl").write_bytes(content + b"\n" + json.dumps(finished_record()).encode() + b"\n")
    return check(["compare", "results.jsonl"], place)[0]


# Files of the user's

TABLE = "text,label\n" + "".join(f"{'good' if row % 2 else 'bad'} film number {row},{row % 2}\n" for row in range(40))
LINES = "".join(json.dumps({"text": f"film {row}", "label": row % 2}) + "\n" for row in range(40))


def parquet_bytes() -> bytes:
    sink = io.BytesIO()
    rows = {"text": [f"film {row}" for row in range(40)], "label": [row % 2 for row in range(40)]}
    pyarrow.parquet.write_table(pyarrow.table(rows), sink)
    return sink.getvalue()


@st.composite
def own_files(draw: st.DrawFn) -> tuple[str, bytes]:
    kind = draw(st.sampled_from(["csv", "tsv", "jsonl", "json", "parquet"]))
    whole = {
        "csv": TABLE.encode(),
        "tsv": TABLE.replace(",", "\t").encode(),
        "jsonl": LINES.encode(),
        "json": ("[" + ",".join(LINES.splitlines()) + "]").encode(),
        "parquet": parquet_bytes(),
    }[kind]
    if draw(st.booleans()):
        return kind, mutated_bytes(draw, whole)
    rows = draw(st.lists(st.tuples(scalar, scalar), max_size=12))
    table = [{"text": one, "label": two} for one, two in rows]
    if kind in ("json", "jsonl"):
        content = "\n".join(json.dumps(row) for row in table) if kind == "jsonl" else json.dumps(draw(plain))
        return kind, content.encode()
    between = "\t" if kind == "tsv" else ","
    return kind if kind != "parquet" else "csv", "\n".join(
        [between.join(("text", "label")), *(between.join(map(str, row)) for row in rows)]
    ).encode("utf-8", "replace")


def check_own_file(place: Path, value: tuple[str, bytes]) -> int:
    kind, content = value
    (place / f"mine.{kind}").write_bytes(content)
    return check(["prepare", "text_classification", f"task.file=mine.{kind}", "task.min_frequency=1"], place)[0]


@st.composite
def vectors(draw: st.DrawFn) -> bytes:
    lines = [f"{word} {' '.join(['0.1'] * 4)}" for word in ("good", "bad", "film")]
    if draw(st.booleans()):
        return mutated_bytes(draw, "\n".join(lines).encode())
    more = draw(st.lists(st.tuples(text, st.lists(number.map(str) | odd, max_size=6)), max_size=5))
    return "\n".join([*lines, *(" ".join([word, *numbers]) for word, numbers in more)]).encode("utf-8", "replace")


def check_vectors(place: Path, content: bytes) -> None:
    (place / "mine.csv").write_text(TABLE, encoding="utf-8")
    (place / "vectors.txt").write_bytes(content)
    words = ["task=text_classification", "task.file=mine.csv", "task.min_frequency=1", "task.vectors=vectors.txt"]
    check(["train", *words, "network.embedding=4", *QUICK[4:], "model=gru"], place, codes=(0, 2), writes=True)


# Checkpoints and weights


class Planted:
    """Leaves a mark where it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("executed"),)


@functools.cache
def weights() -> bytes:
    return safetensors.torch.save({"readout.weight": torch.zeros(1, 4), "x": torch.zeros(3)})


@st.composite
def binaries(draw: st.DrawFn) -> bytes:
    held = next(iter((finished_run() / "runs").rglob("*.safetensors"))).read_bytes()
    saved = io.BytesIO()
    torch.save({"learner": draw(plain), "run": draw(text)}, saved)
    planted = io.BytesIO()
    torch.save(Planted(), planted)
    return draw(
        st.one_of(
            mutated(held, weights(), saved.getvalue()),
            st.sampled_from([weights(), b"", planted.getvalue(), pickle.dumps(Planted()), saved.getvalue()]),
            st.binary(max_size=64),
            st.integers(0, 2**64 - 1).map(lambda size: size.to_bytes(8, "little") + b"{}"),
        )
    )


def check_weights(place: Path, content: bytes) -> None:
    run_folder = runs_of(place)
    (found,) = run_folder.glob("*.safetensors")
    found.write_bytes(content)
    check(["gradients", str(run_folder.relative_to(place)), "--output", "x.png"], place, writes=True)
    assert not (place / "executed").exists()


def check_checkpoint(place: Path, content: bytes) -> None:
    """Put in the place of an unfinished run's checkpoint, it is set aside, and the run begins again to the same numbers."""
    run_folder = runs_of(place)
    wanted = json.loads((run_folder / "record.json").read_text(encoding="utf-8"))["scores"]
    (run_folder / "record.json").unlink()
    (run_folder / "checkpoints").mkdir(exist_ok=True)
    name = f"{1:09d}-{hashlib.sha256(content).hexdigest()}.pt"
    (run_folder / "checkpoints" / name).write_bytes(content)
    seed = run_folder.name[1]
    with_seed = ["train", *QUICK, f"seed={seed}"]
    code, _, err = run(with_seed, place)
    assert "Traceback" not in err and code in (0, 1), err[-600:]
    assert not (place / "executed").exists()
    assert not (run_folder / "checkpoints" / name).exists(), "it was never looked at"
    if code == 0:
        assert json.loads((run_folder / "record.json").read_text(encoding="utf-8"))["scores"] == wanted


# The environment

NAMES = [
    "HOME",
    "XDG_CACHE_HOME",
    "RNNBENCH_DATA",
    "RNNBENCH_CACHE",
    "WANDB_MODE",
    "WANDB_DIR",
    "WANDB_PROJECT",
    "WANDB_API_KEY",
]
NAMES += [
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "SLURM_JOB_ID",
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "TORCHELASTIC_RUN_ID",
    "MASTER_PORT",
]
NAMES += [
    "COLUMNS",
    "NO_COLOR",
    "TERM",
    "LANG",
    "PL_TRAINER_MAX_STEPS",
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "TMPDIR",
    "USER",
]


def check_environment(place: Path, variables: Mapping[str, str]) -> None:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        code, _, _ = check(["train", *QUICK, "runs=runs"], place, writes=True)
        if code == 0:
            (path,) = place.glob("runs/*/*/*/record.json")
            record = json.loads(path.read_text(encoding="utf-8"))
            assert record["scores"] == finished_scores(), variables
    finally:
        os.environ.clear()
        os.environ.update(before)


@functools.cache
def finished_scores() -> Any:
    place = Path(tempfile.mkdtemp(prefix="fuzz"))
    code, out, err = run(["train", *QUICK], place, seconds=120)
    assert code == 0, out + err
    (path,) = place.glob("runs/*/*/*/record.json")
    return json.loads(path.read_text(encoding="utf-8"))["scores"]


KINDS: dict[str, Kind] = {
    "overrides": (overrides(), check_overrides),
    "grid": (yaml_text(GRID), check_grid),
    "space": (yaml_text(SPACE), check_space),
    "config-dir": (yaml_text(TASK_FILE), check_config_dir),
    "model file": (yaml_text(MODEL_FILE), check_model_file),
    "run config": (st.deferred(lambda: yaml_text(run_config())), check_run_config),
    "record": (st.deferred(records), check_record),
    "results": (st.deferred(records), check_results),
    "own file": (own_files(), check_own_file),
    "vectors": (vectors(), check_vectors),
    "weights": (st.deferred(binaries), check_weights),
    "checkpoint": (st.deferred(binaries), check_checkpoint),
    "environment": (
        st.dictionaries(st.sampled_from(NAMES), text.map(lambda value: value.replace("\0", "")), max_size=4),
        check_environment,
    ),
}


def run_config() -> Any:
    path = next(iter(sorted((finished_run() / "runs").glob("*/*/*/config.yaml"))))
    return yaml.safe_load(path.read_text(encoding="utf-8"))


# Each kind of input as it is before anything is changed: its command ends with 0.
UNCHANGED: dict[str, list[Any]] = {
    "overrides": [QUICK],
    "grid": [yaml.safe_dump(GRID).encode()],
    "config-dir": [yaml.safe_dump(TASK_FILE).encode()],
    "model file": [yaml.safe_dump(MODEL_FILE).encode()],
    "own file": [("csv", TABLE.encode()), ("jsonl", LINES.encode()), ("parquet", parquet_bytes())],
}
