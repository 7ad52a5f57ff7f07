"""What benchmarks measured over commits: `rnnbench benchmark WHAT --save`, then `rnnbench benchmark history`.

benchmarks.jsonl has a line for each benchmark that was saved: commit, processor, and the value of each row. Rows are ratios, so
that they mean something on another day; only those of one processor and one set of rounds are compared.

A row has got worse where its value at a commit is above that at the commit before by more than noise: the logarithm of the
ratio of both medians is more than BEYOND times its standard error, whose deviation is that of the values within commits, as far
as there are several, and never below LEAST; where no commit was measured twice, it is taken to be UNKNOWN.
"""

from __future__ import annotations

import datetime
import itertools
import json
import math
import os
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..options import BadOption

FILE = "benchmarks.jsonl"
BEYOND, LEAST, UNKNOWN = 3.0, 0.02, 0.05
SHOWN = 6  # commits


class Measured(NamedTuple):
    """A row of a benchmark: its value, and the bounds that it must and shall keep, upper ones unless `higher` is better."""

    name: str
    value: float
    must: float | None = None
    aim: float | None = None
    higher: bool = False

    @property
    def misses(self) -> bool:
        """Whether it does not keep its must."""
        return self.must is not None and (self.value < self.must if self.higher else not self.value <= self.must)

    @property
    def mark(self) -> str:
        return "  <- misses its must" if self.misses else ""


def summary(rows: Sequence[Measured]) -> str:
    """How many rows keep their must, and which do not, in a line."""
    bound = [row for row in rows if row.must is not None]
    missed = [f"{row.name} ({row.value:.3g}, must {row.must:.3g})" for row in bound if row.misses]
    kept = f"{len(bound) - len(missed)} of {len(bound)} rows keep their must"
    return f"{kept}; missed: {'; '.join(missed)}" if missed else kept


def check_file(path: Path) -> None:
    """BadOption where `save` could not write to `path`."""
    place = path if path.exists() else path.parent
    if path.is_dir() or not path.parent.is_dir() or not os.access(place, os.W_OK):
        raise BadOption(f"--save {path}: cannot be written; a file in a folder that is there is expected")


def save(rows: Sequence[Measured], what: str, quick: bool, path: Path) -> None:
    """Appends a line to `path`."""
    from ..run.provenance import code_commit, processor_name  # imports torch, which history does without

    line = {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": code_commit() or "unknown",
        "processor": processor_name(),
        "what": what,
        "quick": quick,
        "rows": {row.name: {"value": row.value, "higher": row.higher} for row in rows if math.isfinite(row.value)},
    }
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def main(quick: bool = False, words: Sequence[str] = ()) -> None:
    """Prints the rows that were saved in a file, by default benchmarks.jsonl, over commits, and what has got worse."""
    path = Path(words[0] if words else FILE)
    for line in history_lines(read_saved(path)):
        print(line)


def read_saved(path: Path) -> list[dict[str, Any]]:
    """The lines of a file that `save` wrote; BadOption names the first that is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise BadOption(f"{path}: no saved benchmarks; `rnnbench benchmark WHAT --save` writes them") from None
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            saved = json.loads(line)
            texts = [saved[key] for key in ("commit", "processor", "what")]
            values = [one["value"] for one in saved["rows"].values()]
            good = all(isinstance(text, str) for text in texts) and all(type(v) in (int, float) and v > 0 for v in values)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            good = False
        if not good:
            raise BadOption(f"{path}:{number}: no saved benchmark; expected what `rnnbench benchmark WHAT --save` writes")
        found.append(saved)
    return found


Series = dict[str, list[float]]  # values by commit, in order


def history_lines(saved: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A table for each processor and benchmark: the median of each row at each commit; then what has got worse, if anything."""
    groups: dict[tuple[str, str, bool], dict[str, Series]] = {}
    higher: set[str] = set()
    for line in saved:
        rows = groups.setdefault((line["processor"], line["what"], bool(line.get("quick"))), {})
        for name, one in line["rows"].items():
            rows.setdefault(name, {}).setdefault(line["commit"], []).append(one["value"])
            higher |= {name} if one.get("higher") else set()
    worse = []
    for (processor, what, quick), rows in groups.items():
        commits = list(dict.fromkeys(commit for series in rows.values() for commit in series))[-SHOWN:]
        yield f"{what}{' --quick' if quick else ''}, {processor}"
        yield f"  {'':52} {' '.join(f'{short(commit):>9}' for commit in commits)}"
        for name, series in rows.items():
            medians = (f"{statistics.median(series[c]):9.3f}" if c in series else " " * 9 for c in commits)
            yield f"  {name:52.52} {' '.join(medians)}"
            worse += [f"{what}: {name}: {rise}" for rise in rises(series, name in higher)]
    yield f"{len(worse)} rows have got worse beyond noise" + (":" if worse else "")
    yield from (f"  {line}" for line in worse)


def rises(series: Series, higher: bool = False) -> list[str]:
    """The commits at which a row got worse beyond noise, each in words; `higher`: a higher value is better."""
    logs = {commit: [math.log(value) * (-1 if higher else 1) for value in values] for commit, values in series.items()}
    free = sum(len(values) - 1 for values in logs.values())
    squares = sum((value - statistics.fmean(values)) ** 2 for values in logs.values() for value in values)
    deviation = max(LEAST, math.sqrt(squares / free)) if free else UNKNOWN
    found, commits = [], list(logs)
    for before, after in itertools.pairwise(commits):
        rise = statistics.median(logs[after]) - statistics.median(logs[before])
        if rise > BEYOND * deviation * math.sqrt(1 / len(logs[before]) + 1 / len(logs[after])):
            ends = " -> ".join(f"{statistics.median(series[commit]):.3f}" for commit in (before, after))
            found.append(f"{ends} ({math.exp(rise):.2f} times) from {short(before)} to {short(after)}")
    return found


def short(commit: str) -> str:
    """Eight characters of a commit, the last a + where files differed from it."""
    return commit[:7] + "+" if commit.endswith("+") else commit[:8]
