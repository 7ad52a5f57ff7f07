"""Tables in numbers: how many of their values can be judged, the verdicts, contrasts and hours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..analysis.formatting import format_duration
from ..analysis.table import Cell, Column, Table
from .cell_results import row_results
from .declaration import Declaration
from .evaluate import Results
from .grid import Reported

AS_STATED, OWN_CHOICE = "as stated", "under our choice"
VERDICTS = ("reproduced", "compatible", "better", "worse", "both at floor", "open", "reached", "not reached", "missing")
BY_TEXT = ("within the text's span", "the text does not settle it")  # what readings of a source's text say: counted as open
CONTRASTS = {
    "holds": "hold",
    "fails": "fail",
    "equivalent": "no difference that matters",
    "undecided": "undecided",
    "missing": "not run",
}
NOTES = (
    "values: the values that the source reports. as stated: we run the setting of the source, whose estimator is known. our "
    "choice: the source leaves a part of the setting open, and validation chooses among at least three values of it, declared "
    "before; such a value is reached or not. All other values are context and get no verdict.",
    "reproduced to not reached: verdicts at the paper's scale. missing: could get a verdict, but is not run at that scale.",
    "hours: training behind the committed records. to choose: runs by which validation is to choose what a source leaves open. "
    "to come: runs that are declared and missing, on one core.",
)


def judged_as(table: Declaration, row: str, column: str, value: Reported) -> str:
    """How a reported value can be judged: AS_STATED, OWN_CHOICE; empty where it cannot be, however many runs there are."""
    kind = value.differs.kind if value.differs else ""
    if "paper" not in table.scales(row) or value.estimator == "unknown" or kind in ("other", "scale"):
        return ""
    if value.estimator == "best" and (
        value.seeds is None or table.cell(row, column, "paper").seeds.looks[-1] < 2 * value.seeds
    ):
        return ""
    return OWN_CHOICE if kind else AS_STATED


@dataclass
class TableCounts:
    """A table in numbers."""

    values: int = 0
    judged: Counter[str] = field(default_factory=Counter)  # by AS_STATED, OWN_CHOICE
    verdicts: Counter[str] = field(default_factory=Counter)  # of those that can be judged, at the paper's scale
    contrasts: Counter[str] = field(default_factory=Counter)
    trained: float = 0.0  # seconds
    missing: dict[str, float] = field(default_factory=dict)  # seconds, by scale
    choices: float = 0.0  # seconds of the runs by which validation is to choose what sources do not say


def count_table(results: Results) -> TableCounts:
    """The numbers of one table."""
    table, found = results.table, TableCounts()
    for place, values in table.reports.values.items():
        row, _, column = place.partition("/")
        found.values += len(values)
        found.judged.update(filter(None, (judged_as(table, row, column, value) for value in values)))
    found.missing = missing_seconds(results)
    for row in results.rows:
        if "paper" in results.runs.scales(row):
            for cell in row_results(results.runs, row, "paper"):
                judged = (one for one in cell.reported if judged_as(table, row, cell.runs.cell.column, one.about))
                found.verdicts.update("open" if one.verdict.word in BY_TEXT else one.verdict.word for one in judged)
        if pending := table.choices(row) if "paper" in results.runs.scales(row) else []:
            found.choices += sum(choice.minutes for choice in pending) * 60
    found.contrasts.update(one.verdict.word for one in results.contrasts.values())
    found.trained = training_seconds(results)
    return found


def training_seconds(results: Results) -> float:
    """What the runs of a table took, each counted once."""
    records = {record["id"]: record for runs in results.runs.cells.values() for record in runs.records}
    return sum(record["speed"]["seconds"] or 0.0 for record in records.values())


def missing_seconds(results: Results) -> dict[str, float]:
    """What the runs that are declared and missing take on one core, by scale."""
    found: dict[str, float] = {}
    counted: set[tuple[tuple[str, ...], int]] = set()  # runs that cells share are made once
    for row in results.rows:
        for scale in results.runs.scales(row):
            for measured in results.runs.of_row(row, scale):
                runs = {(measured.cell.words_of(seed), seed) for seed in measured.missing()} - counted
                counted |= runs
                found[scale] = found.get(scale, 0.0) + len(runs) * (measured.cell.minutes or 0) * 60
    return found


def values_sentence(counts: TableCounts) -> str:
    """How many of the reported values can be judged, and what came of it."""
    if not counts.values:
        return ""
    stated, own = counts.judged[AS_STATED], counts.judged[OWN_CHOICE]
    rest = counts.values - stated - own
    parts = [f"{stated} can be judged as stated", f"{own} under our choice of what the source does not say" if own else ""]
    said = f"Of {counts.values} reported values {' and '.join(filter(None, parts))}"
    said += f"; {rest} {'is' if rest == 1 else 'are'} of another setting or not described, and context" if rest else ""
    words = [
        f"{counts.verdicts[word]} {'not run yet' if word == 'missing' else word}" for word in VERDICTS if counts.verdicts[word]
    ]
    return f"{said}. Verdicts: {', '.join(words)}." if words else f"{said}."


def contrasts_sentence(counts: TableCounts) -> str:
    """What came of the contrasts."""
    words = [
        f"{number} {word if number == 1 and word in ('holds', 'fails') else says}"
        for word, says in CONTRASTS.items()
        if (number := counts.contrasts[word])
    ]
    total = sum(counts.contrasts.values())
    return f"{'Its one contrast' if total == 1 else f'Of its {total} contrasts'}: {', '.join(words)}." if words else ""


def hours_sentence(counts: TableCounts) -> str:
    """What was trained, and what is missing."""
    left = missing_hours(counts.missing)
    done = f"{format_duration(counts.trained)} of training so far" if counts.trained else "Nothing of it has been run yet"
    said = f"{done}; what is missing takes about {left}, on one core" if left else done
    before = f"; choosing what the source does not say takes {_hours(counts.choices)} h before" if counts.choices else ""
    return f"{said}{before}."


def missing_hours(seconds: Mapping[str, float]) -> str:
    """`12 h at the paper's scale and 30 min at laptop scale`, of seconds by scale; empty where nothing is missing."""
    names = {"paper": "at the paper's scale", "laptop": "at laptop scale"}
    took = {scale: f"{_hours(one)} h" if one >= 3600 else format_duration(one) for scale, one in seconds.items()}
    return " and ".join(f"{took[scale]} {says}" for scale, says in names.items() if seconds.get(scale))


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:,.0f}" if hours >= 10 or not hours else f"{hours:.1f}"


VALUES = (
    Column("table", ("table",), left=True),
    Column("values", ("values",)),
    Column(AS_STATED, ("as_stated",)),
    Column("our choice", ("own_choice",)),
    *(Column(word, (word.replace(" ", "_"),)) for word in VERDICTS),
)
WORK = (
    Column("table", ("table",), left=True),
    Column("contrasts", ("contrasts",)),
    *(Column(says, (word,)) for word, says in CONTRASTS.items()),
    Column("hours", ("hours",)),
    Column("to choose", ("choice_hours",)),
    Column("to come, paper's scale", ("paper_hours",)),
    Column("to come, laptop scale", ("laptop_hours",)),
)
RARE = ("both at floor", "reached", "not reached")  # verdicts that have a column only where there are any


def overview_tables(tables: Sequence[Results]) -> list[Table]:
    """Two tables with a line for each of `tables`, and their sum: values; contrasts and hours."""
    counts = {results.table.name: count_table(results) for results in tables}
    counts["all"] = _sum(counts.values())
    return [
        Table("Values", "", {}, VALUES, tuple(_value_line(*one) for one in counts.items()), (), NOTES[:2]),
        Table("Contrasts and hours", "", {}, WORK, tuple(_work_line(*one) for one in counts.items()), (), NOTES[2:]),
    ]


def _sum(counts: Iterable[TableCounts]) -> TableCounts:
    total = TableCounts()
    for one in counts:
        total.values, total.trained = total.values + one.values, total.trained + one.trained
        total.judged += one.judged
        total.verdicts += one.verdicts
        total.contrasts += one.contrasts
        total.choices += one.choices
        for scale, seconds in one.missing.items():
            total.missing[scale] = total.missing.get(scale, 0.0) + seconds
    return total


def _value_line(name: str, counts: TableCounts) -> tuple[Cell, ...]:
    numbers = {"values": counts.values, **{how: counts.judged[how] for how in (AS_STATED, OWN_CHOICE)}}
    numbers |= {word: counts.verdicts[word] for word in VERDICTS}
    return (_name(name), *(_number(value, name == "all" and word not in RARE) for word, value in numbers.items()))


def _work_line(name: str, counts: TableCounts) -> tuple[Cell, ...]:
    numbers = (sum(counts.contrasts.values()), *(counts.contrasts[word] for word in CONTRASTS))
    seconds = (counts.trained, counts.choices, counts.missing.get("paper", 0.0), counts.missing.get("laptop", 0.0))
    return (
        _name(name),
        *(_number(value, name == "all") for value in numbers),
        *(Cell(_hours(value) if value else "", (round(value / 3600, 4),)) for value in seconds),
    )


def _name(name: str) -> Cell:
    return Cell(name, (name,), link="" if name == "all" else f"{name}/README.md")


def _number(value: int, zero: bool) -> Cell:
    """`zero`: shown where it is none, too."""
    return Cell(str(value) if value or zero else "", (value,))
