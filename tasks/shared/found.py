"""What was found where a user's data lie, in one line and in the record, and the options that say where that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy

from rnnbench.data.sets import Place, Splits
from rnnbench.data.table_files import Reading
from rnnbench.data.tables import DataError
from rnnbench.options import amount, shortened

from .batch import SPLITS, Split
from .labels import seen_facts
from .rows import Texts

MOST = 100  # classes whose counts are recorded: the most frequent
SHOWN = 6  # classes that the line names
SAME = {  # what is wrong with two splits that have rows in common
    ("train", "validation"): "what selects was trained on",
    ("train", "test"): "what is reported was trained on",
    ("validation", "test"): "what is reported was selected on",
}
TAKEN = "what is reported was trained or selected on"  # of train and test, where a part of train validates


def one_place(
    task: str,
    hub: str | None,
    file: str | None,
    config: str | None,
    revision: str | None,
    named: Mapping[str, str],
    reading: Reading,
    kinds: tuple[str, ...] = Place.kinds,
    others: bool = False,
    in_time: bool = False,
) -> Place:
    """Where the data lie; DataError, one line, where the options name nothing to train on, or two sets."""
    if hub and file:
        raise DataError(f"task={task} needs one of task.hub=ID and task.file=PATH, and has both")
    if not hub and not file and "train" not in named:
        raise DataError(f"task={task} needs one of task.hub=ID and task.file=PATH, or task.train=PATH")
    place = Place(hub, file, config, revision, named, reading, kinds, others, in_time)
    if revision and hub and not place.id:
        raise DataError(f"task.revision={revision} is of a set of the hub, and task.hub={hub} is a folder; leave it out")
    return place


def named_splits(train: str | None, validation: str | None, test: str | None) -> dict[str, str]:
    """The splits or files that `task.train`, `.validation` and `.test` name."""
    return {split: name for split, name in (("train", train), ("validation", validation), ("test", test)) if name}


def left_unread(names: Sequence[str]) -> list[str]:
    """A line for what lies beside the data and is not read."""
    said = shortened(", ".join(names), 100)
    return [f"not read: {said}; task.train=, task.validation= and task.test= name what is read"] if names else []


def odd_splits(found: Splits) -> list[str]:
    """What is odd about the splits of a set, a line each: what is not read, rows in common, where they lie."""
    alone = "test" not in found.parts  # then validation is the test, as `completed` has it
    same = []
    for (one, other), both in found.shared.items():
        pair = (one, "test" if alone else other)
        said = f"are the same {amount(both.rows, 'row')}" if both.whole else f"have {amount(both.rows, 'row')} in common"
        taken = pair == ("train", "test") and ("validation" not in found.parts or alone)  # then validation is cut from train
        same.append(f"{' and '.join(pair)} {said}: {TAKEN if taken else SAME[pair]}")
    return [*left_unread(found.unread), *same, *sorted({part.note for part in found.parts.values() if part.note})]


def text_facts(
    parts: Mapping[Split, Texts],
    classes: Sequence[str],
    lengths: Mapping[Split, numpy.ndarray],
    max_length: int,
    labels: Mapping[Split, numpy.ndarray] | None = None,
) -> dict[str, Any]:
    """Of texts with a class: rows by split, rows by class, test rows that stand in train or validation, and lengths in
    tokens.

    `labels` are the numbers of all labels of a split, where a text may have several.
    """
    name = "classes" if labels is None else "labels"
    every = numpy.concatenate([part.labels for part in parts.values()] if labels is None else [*labels.values()])
    counts = numpy.bincount(every, minlength=len(classes))
    order = numpy.argsort(-counts, kind="stable")[:MOST]
    return {
        **row_facts({split: len(part.texts) for split, part in parts.items()}),
        name: {classes[number]: int(counts[number]) for number in sorted(order.tolist())},
        f"other_{name}": max(0, len(classes) - MOST),
        **({} if labels is None else {"labels_a_row": round(len(every) / sum(map(len, parts.values())), 2)}),
        "seen": seen_facts(parts),
        **length_facts(lengths, max_length),
    }


def row_facts(rows: Mapping[Split, int]) -> dict[str, Any]:
    return {"rows": {split: int(rows[split]) for split in SPLITS}}


def length_facts(lengths: Mapping[Split, numpy.ndarray], max_length: int | None = None) -> dict[str, Any]:
    """The median and longest length of all rows, and how many are longer than `max_length`, at which they are cut off."""
    every = numpy.concatenate(list(lengths.values()))
    found = {"median_length": float(numpy.median(every)), "longest": int(every.max())}
    return {**found, "cut_off": int((every > max_length).sum())} if max_length else found


def found_line(found: Mapping[str, Any], unit: str = "words") -> str:
    """The facts in one line: files, rows by split, classes, what was dropped, what stands in train too, lengths."""
    files, rows = found["files"], found["rows"]
    said = [
        f"{amount(sum(rows.values()), 'row')}: " + ", ".join(split_words(split, files, count) for split, count in rows.items())
    ]
    for name, one in (("classes", "class"), ("labels", "label")):
        if classes := found.get(name):
            said.append(f"{amount(len(classes) + found.get(f'other_{name}', 0), one)}: {_classes(classes)}")
    if "labels_a_row" in found:
        said.append(f"{found['labels_a_row']:g} labels a row")
    said.append(f"{amount(found['dropped'], 'row')} dropped")
    if "seen" in found:
        selected = found["seen"].get("test_in_validation", 0)  # records of earlier versions do not have it
        said.append(
            f"{amount(found['seen']['test'], 'test row')} also in train" + (f", {selected:,} in validation" if selected else "")
        )
    cut = f", {found['cut_off']:,} cut off" if found.get("cut_off") else ""
    said.append(f"{unit} a row: median {found['median_length']:g}, longest {found['longest']:,}{cut}")
    return "; ".join(said)


def split_words(split: str, files: Mapping[str, Sequence[str]], count: int) -> str:
    """`train 480 (reviews.csv)`, `test 60 (from train)`."""
    if "test" not in files and "validation" in files:  # as `completed` has it
        files = {"train": files["train"], "test": files["validation"]}
    names = files.get(split)
    if names is None:
        return f"{split} {count:,} (from train)"
    return f"{split} {count:,} ({shortened(names[0], 40)}{f' and {len(names) - 1} more' if len(names) > 1 else ''})"


def _classes(classes: Mapping[str, int]) -> str:
    common = sorted(classes, key=lambda name: -classes[name])[:SHOWN]
    named = ", ".join(f"{shortened(name, 20)} {classes[name]:,}" for name in classes if name in common)
    return named + (", ..." if len(classes) > len(common) else "")
