"""What benchmarks measured over commits: `rnnbench benchmark WHAT --save`, then `rnnbench benchmark history`.

benchmarks.jsonl has a line for each benchmark that was saved: commit, processor, and the value of each row. Rows are ratios, so
that they mean something on another day; only those of one processor and one set of rounds are compared.

A row has got worse where its value at a commit is above that at the commit before by more than noise: the logarithm of the
ratio of both medians is more than BEYOND times its standard error, whose deviation is that of the values within commits, as far
as there are several, and never below LEAST. Where no commit was measured twice, it is that of the rounds of a measurement, and
never below WITHIN, since rounds share a process; where a benchmark has no rounds it is taken to be UNKNOWN.
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

from ..options import BadOption, amount

FILE = "benchmarks.jsonl"
BEYOND, LEAST, WITHIN, UNKNOWN = 3.0, 0.02, 0.03, 0.05
SHOWN = 6  # commits


class Measured(NamedTuple):
    """A row of a benchmark: its value, and the bounds that it must and shall keep, upper ones unless `higher` is better."""

    name: str
    value: float
    must: float | None = None
    aim: float | None = None
    higher: bool = False
    noise: float | None = None  # see `noise_of`

    @property
    def misses(self) -> bool:
        """Whether it does not keep its must."""
        return self.must is not None and (self.value < self.must if self.higher else not self.value <= self.must)

    @property
    def mark(self) -> str:
        return "  <- misses its must" if self.misses else ""


def noise_of(ratios: Sequence[float]) -> float | None:
    """The standard error of the logarithm of a median, from the ratios of all rounds; None of one round."""
    if len(ratios) < 2:
        return None
    return math.sqrt(math.pi / 2) * statistics.stdev(map(math.log, ratios)) / math.sqrt(len(ratios))


def summary(rows: Sequence[Measured]) -> str:
    """How many rows keep their must, and which do not, in a line."""
    bound = [row for row in rows if row.must is not None]
    missed = [f"{row.name} ({row.value:.3g}, must {row.must:.3g})" for row in bound if row.misses]
    kept = f"{len(bound) - len(missed)} of {len(bound)} rows that have a must keep it"
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
        "rows": {
            row.name: {"value": row.value, "higher": row.higher, **({} if row.noise is None else {"noise": row.noise})}
            for row in rows
            if math.isfinite(row.value)
        },
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
            noise = [one.get("noise", 0.0) for one in saved["rows"].values()]
            good = all(isinstance(text, str) for text in texts) and all(type(v) in (int, float) and v > 0 for v in values)
            good = good and all(type(one) in (int, float) and one >= 0 for one in noise)
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
    noise: dict[tuple[str, str, bool, str], list[float]] = {}
    for line in saved:
        group = (line["processor"], line["what"], bool(line.get("quick")))
        rows = groups.setdefault(group, {})
        for name, one in line["rows"].items():
            noise.setdefault((*group, name), []).extend([one["noise"]] if "noise" in one else [])
            rows.setdefault(name, {}).setdefault(line["commit"], []).append(one["value"])
            higher |= {name} if one.get("higher") else set()
    worse, once = [], []
    for (processor, what, quick), rows in groups.items():
        commits = list(dict.fromkeys(commit for series in rows.values() for commit in series))[-SHOWN:]
        yield f"{what}{' --quick' if quick else ''}, {processor}"
        yield f"  {'':52} {' '.join(f'{short(commit):>9}' for commit in commits)}"
        for name, series in rows.items():
            medians = (f"{statistics.median(series[c]):9.3f}" if c in series else " " * 9 for c in commits)
            yield f"  {name:52.52} {' '.join(medians)}"
            spread = deviation(series, noise[processor, what, quick, name])
            worse += [f"{what}: {name}: {rise}" for rise in rises(series, name in higher, spread)]
            if all(len(values) == 1 for values in series.values()) and len(series) > 1:
                once.append(math.exp(BEYOND * spread * math.sqrt(2)))
    if once:
        least = " to ".join(dict.fromkeys(f"{value:.2f}" for value in (min(once), max(once))))
        were = "was" if len(once) == 1 else "were"
        times = f"{least} times is told from noise; save again for less"
        yield f"{amount(len(once), 'row')} {were} measured once at each commit: {times}"
    yield f"{amount(len(worse), 'row')} {'has' if len(worse) == 1 else 'have'} got worse beyond noise" + (":" if worse else "")
    yield from (f"  {line}" for line in worse)


def deviation(series: Series, noise: Sequence[float] = ()) -> float:
    """Of the logarithm of a value at one commit; `noise`: of the measurements, as far as it is known."""
    free = sum(len(values) - 1 for values in series.values())
    if not free:
        return max(WITHIN, math.sqrt(statistics.fmean(one * one for one in noise))) if noise else UNKNOWN
    logs = [[math.log(value) for value in values] for values in series.values()]
    squares = sum((value - statistics.fmean(values)) ** 2 for values in logs for value in values)
    return max(LEAST, math.sqrt(squares / free))


def rises(series: Series, higher: bool = False, spread: float | None = None) -> list[str]:
    """The commits at which a row got worse beyond noise, each in words; `higher`: a higher value is better.

    `spread`: the `deviation`, where more is known than the values.
    """
    logs = {commit: [math.log(value) * (-1 if higher else 1) for value in values] for commit, values in series.items()}
    spread = deviation(series) if spread is None else spread
    found, commits = [], list(logs)
    for before, after in itertools.pairwise(commits):
        rise = statistics.median(logs[after]) - statistics.median(logs[before])
        if rise > BEYOND * spread * math.sqrt(1 / len(logs[before]) + 1 / len(logs[after])):
            ends = " -> ".join(f"{statistics.median(series[commit]):.3f}" for commit in (before, after))
            found.append(f"{ends} ({math.exp(rise):.2f} times) from {short(before)} to {short(after)}")
    return found


def short(commit: str) -> str:
    """Eight characters of a commit, the last a + where files differed from it."""
    return commit[:7] + "+" if commit.endswith("+") else commit[:8]
