"""The page of a card: tables for HTML and Markdown, a row for a table of cards, and everything as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from ..analysis.formatting import format_brief, format_compact, format_interval, format_number
from ..analysis.intervals import Estimate
from ..analysis.render import to_markdown, to_page
from ..analysis.table import Cell, Column, Table
from ..laws.results import LawResult
from ..options import amount
from ..store.record import Record, write_atomically
from ..version import __version__
from .cost import REACH, SHAPES, WIDTH, CellCost
from .outcomes import CardVerdict, Sample, SamplePair, answer_family, judge, sample_of, verdict_summary
from .runs import CardRun, EqualWidth, reach_after_training
from .suite import Suite

TONES = {"ahead": "good", "behind": "poor"}
EQUAL = {"state": "state", "time": "time a step"}
MEASURES = {"steps_to_solve": "steps to solve", "solved": "solve rate", "score": "score"}


@dataclass(frozen=True)
class BesidesVerdict:
    """What came out at equal state or at equal time a step."""

    width: EqualWidth
    own: Sample
    verdict: CardVerdict


@dataclass
class Card:
    """All that a card says."""

    cell: str
    suite: Suite
    source: str  # digest of the cell's source
    command: str
    laws: Sequence[LawResult] = ()
    costs: Sequence[CellCost] = ()
    samples: Mapping[str, Mapping[str, Sample]] = field(default_factory=dict)  # by task, then by model
    verdicts: Sequence[CardVerdict] = ()
    reaches: Mapping[str, Mapping[str, Sequence[int]]] = field(
        default_factory=dict
    )  # after training, by task and model, of each seed
    tuning: Sequence[Mapping[str, Any]] = ()  # what the search chose, by task and model
    tuned: bool = False
    tuned_elsewhere: Sequence[str] = ()  # tasks and models of whose search the other settings are not known
    besides: Sequence[BesidesVerdict] = ()  # a family of their own
    unmet: Sequence[EqualWidth] = ()  # of those, what no width meets
    left_out: Sequence[str] = ()  # tasks without data here
    committed: int = 0  # records that came with the suite

    @property
    def broken(self) -> list[str]:
        return [law.broken for law in self.laws if law.broken]

    @property
    def says(self) -> str:
        """What came out, in a few sentences."""
        if self.broken:
            return f"Stopped: {len(self.broken)} of {len(self.laws)} laws do not hold, so that nothing was compared."
        found = verdict_summary(self.suite, self.verdicts)
        return f"A screening, no comparison for a paper. {found}" if self.suite.screening else found


def add_runs(card: Card, runs: Sequence[CardRun]) -> None:
    """Puts the verdicts of runs into a card. Each run has a record."""
    records: dict[str, dict[str, list[Record]]] = {}
    others: dict[EqualWidth, list[Record]] = {}
    for run in runs:
        assert run.record
        if run.line.equal:
            others.setdefault(run.line.equal, []).append(run.record)
        else:
            records.setdefault(run.line.task, {}).setdefault(run.line.model, []).append(run.record)
    card.committed = sum(run.folder is None for run in runs)
    card.samples = {task: {name: sample_of(name, found) for name, found in models.items()} for task, models in records.items()}
    card.verdicts = judge(card.suite, card.samples, card.cell)
    card.reaches = reach_after_training([run for run in runs if not run.line.equal])
    samples = {width: sample_of(card.cell, found) for width, found in others.items()}
    asked = [SamplePair(width.task, own, card.samples[width.task][width.opponent]) for width, own in samples.items()]
    verdicts = answer_family(card.suite, asked)
    card.besides = [BesidesVerdict(*one) for one in zip(samples, samples.values(), verdicts, strict=True)]


def worded(text: str, *values: Any, tone: str = "") -> Cell:
    return Cell(text, values or (text,), tone)


def card_tables(card: Card) -> list[Table]:
    """The tables of the page, those without a row left out."""
    tables = [
        _facts(card),
        verdict_table(card),
        besides_table(card),
        _laws(card),
        _costs(card),
        _reaches(card),
        _tuning(card),
        _row(card),
    ]
    return [table for table in tables if table.rows or table.gaps]


def _facts(card: Card) -> Table:
    suite = card.suite
    opponents = list(dict.fromkeys(one.opponent for one in card.verdicts))
    facts = [
        ("suite", f"{suite.version}. {suite.about}"),
        ("against", ", ".join(opponents)),
        (
            "equal parameters",
            " ".join(word for word in suite.words if word.startswith("budget.")) + "; embedding, core and read-out",
        ),
        (
            "settings",
            _settings(card),
        ),
        ("seeds", f"{suite.seeds} of {card.cell}, {suite.opponent_seeds} of each opponent; {card.committed} committed records"),
        (
            "test rows",
            f"of {card.cell}, where a task draws them: by its source ({card.source[:8]}) and the suite's version; read once",
        ),
        ("the author", "could see the suite and its tasks before the cell was written"),
        *[("left out", one) for one in card.left_out],
        ("command", card.command),
        ("rnnbench", __version__),
    ]
    columns = (Column("what", ("what",), left=True), Column("", ("value",), left=True, words=True))
    shown = facts if card.verdicts else [facts[0], *facts[-2:]]
    rows = tuple((worded(name), worded(value)) for name, value in shown if value)
    return Table(f"{card.cell}: card {suite.version}", card.says, {}, columns, rows)


def _settings(card: Card) -> str:
    if not card.tuned:
        return "of the suite, the same for every model; nothing was tuned"
    if card.tuned_elsewhere:
        return f"of a search; under which other settings is not known of: {', '.join(card.tuned_elsewhere)}"
    return f"of {'an equal' if card.tuning else 'a'} search for every model, under the suite's other settings"


def _laws(card: Card) -> Table:
    columns = tuple(Column(name, (name,), left=True, words=True) for name in ("law", "result"))
    rows = tuple(
        (worded(law.says.rstrip(".").replace("`", "")), worded(law.broken or "holds", tone="poor" if law.broken else "good"))
        for law in card.laws
    )
    return Table(
        "Is it right?",
        "The laws of check_cell, in double precision. A law that does not hold stops the card.",
        {},
        columns,
        rows,
    )


def _costs(card: Card) -> Table:
    shapes = [f"T={steps} B={rows} H={width}" for steps, rows, width in SHAPES]
    columns = (
        Column("model", ("model",), left=True),
        Column("parameters", ("parameters",)),
        Column("state", ("state",)),
        Column("products a token", ("products",)),
        *(Column(f"time, {shape}", (f"time {shape}",)) for shape in shapes),
        Column("memory", ("memory",)),
        Column("gradient reaches", ("reach",)),
    )
    rows = tuple(
        (
            worded(one.model),
            worded(f"{one.parameters:,}", one.parameters),
            worded(f"{one.state:,}", one.state),
            worded(f"{one.products:,}", one.products),
            *(worded(f"{time:.2f}×", time) for time in one.times),
            worded(f"{one.memory:.2f}×", one.memory),
            worded(_reach(one.reach, REACH[0]), one.reach),
        )
        for one in card.costs
    )
    notes = (
        "Time: a forward and a backward pass on one thread, as a share of that of torch.nn.LSTM of the same shape. Memory: "
        "what is kept for the backward pass, as a share of the same.",
        "Gradient reaches: steps back until the norm of the loss's gradient by the state is 1 % of that at the last step; "
        f"before training, of sequences of {REACH[0]} steps.",
    )
    return Table(
        "What does it cost?", f"At {WIDTH} units and inputs, without read-out.", {}, columns, rows, notes=notes if rows else ()
    )


def _reach(steps: int | None, whole: int) -> str:
    return f"{whole}, the whole sequence" if steps is None else str(steps)


def verdict_table(card: Card) -> Table:
    suite = card.suite
    columns = (
        Column("task", ("task",), left=True, words=True),
        Column("against", ("opponent",), left=True),
        Column("verdict", ("verdict",), left=True),
        *_evidence_columns(card),
    )
    rows = tuple(
        (
            worded(suite.tasks[one.task].title),
            worded(one.opponent),
            worded(one.word, tone=TONES.get(one.word, "warn")),
            *_evidence(card, one, card.samples[one.task][card.cell]),
        )
        for one in card.verdicts
    )
    gaps = [
        f"{suite.tasks[task].title}, {name}: {count} of {amount(len(sample.outcomes), 'run')} diverged"
        for task, models in card.samples.items()
        for name, sample in models.items()
        if (count := sum(one.diverged for one in sample.outcomes))
    ]
    notes = (
        f"p: of a permutation test of the measure (a solve rate: Fisher's test), with Holm's correction over all {len(rows)} "
        f"questions; ahead or behind: p is at most {suite.level:g}. In brackets, intervals of 95 % of each model by itself.",
        "Steps to solve: the median over seeds; a run that did not solve its task counts as still running. A dash: "
        "too few seeds for a bound. A run that diverged did not solve its task, and its score is the floor's.",
        "Seeds to tell: of each model, with a chance of 80 %, should the difference be what it is here.",
    )
    caption = "Each task has one measure, which the suite declares."
    return Table("Where is it better?", caption, {}, columns, rows, tuple(gaps), notes if rows else ())


def _evidence_columns(card: Card) -> tuple[Column, ...]:
    return (
        Column("measure", ("measure",), left=True),
        Column(card.cell, ("own", "own_low", "own_high"), left=True),
        Column("opponent", ("other", "other_low", "other_high"), left=True),
        Column("p", ("p",)),
        Column("seeds to tell", ("seeds",)),
    )


def _evidence(card: Card, one: CardVerdict, own: Sample) -> tuple[Cell, ...]:
    """The cells of these: what was measured, of the cell and its opponent, p, and the seeds to tell them apart."""
    return (
        worded(_measure(card, one)),
        _estimate(one, one.own, own),
        _estimate(one, one.other, card.samples[one.task][one.opponent]),
        worded(format_number(one.p), one.p),
        worded("" if one.word in TONES else f"{one.seeds:,}" if one.seeds else "over 1,000", one.seeds),
    )


def besides_table(card: Card) -> Table:
    """What came out at equal state and at equal time a step: apart from the verdicts at equal parameters."""
    suite = card.suite
    columns = (
        Column("equal in", ("equal",), left=True),
        Column("task", ("task",), left=True, words=True),
        Column("against", ("opponent",), left=True),
        Column("verdict", ("verdict",), left=True),
        Column("width", ("width",)),
        Column("ratio", ("ratio",)),
        Column("parameters", ("parameters", "opponent_parameters")),
        *_evidence_columns(card),
    )
    rows = tuple(
        (
            worded(EQUAL[one.width.equal]),
            worded(suite.tasks[one.width.task].title),
            worded(one.width.opponent),
            worded(one.verdict.word, tone=TONES.get(one.verdict.word, "warn")),
            worded(str(one.width.width), one.width.width),
            worded(f"{one.width.ratio:.3f}", one.width.ratio),
            worded(f"{one.own.parameters:,} : {other.parameters:,}", one.own.parameters, other.parameters),
            *_evidence(card, one.verdict, one.own),
        )
        for one in card.besides
        for other in [card.samples[one.width.task][one.width.opponent]]
    )
    gaps = [
        f"{suite.tasks[one.task].title}, {one.opponent}: no width of {card.cell} has an equal {EQUAL[one.equal]}; the nearest, "
        f"{one.width}, has {one.ratio:.3f} times the opponent's"
        for one in card.unmet
    ]
    gaps += [
        f"{suite.tasks[one.width.task].title}, {one.width.opponent}, equal {EQUAL[one.width.equal]}: {count} of "
        f"{amount(len(one.own.outcomes), 'run')} of {card.cell} diverged"
        for one in card.besides
        if (count := sum(run.diverged for run in one.own.outcomes))
    ]
    asked = amount(len(rows), "question")
    caption = (
        "Apart from the verdicts above: the opponent is the same, and the cell has the width at which it equals it. A family "
        f"of its own: Holm's correction is over these {asked} alone; the {len(card.verdicts)} at equal parameters and the "
        "summary do not count them."
    )
    notes = (
        f"At equal state and time: width is that of {card.cell}, as model.hidden_size. Ratio: of the cell to the opponent, in "
        "numbers of state a sequence, or in CPU time of a training step on one thread, the two timed in turn on this machine. "
        "Settings are those at equal parameters; none was tuned for the other width.",
    )
    title = "At equal state and at equal time a step"
    return Table(title, caption, {}, columns, rows, tuple(gaps), notes if rows else ())


def _measure(card: Card, one: CardVerdict) -> str:
    sample = card.samples[one.task][card.cell]
    lower = one.measure == "steps_to_solve" or (one.measure == "score" and sample.lower_is_better)
    return f"{sample.headline if one.measure == 'score' else MEASURES[one.measure]} {'↓' if lower else '↑'}"


def _estimate(verdict: CardVerdict, found: Estimate, sample: Sample) -> Cell:
    values = tuple(None if value is None or math.isinf(value) else value for value in (found.value, found.low, found.high))
    if verdict.measure == "steps_to_solve":
        bounds = (found.low, found.high)
        low, high = ("–" if bound is None or math.isinf(bound) else format_brief(bound) for bound in bounds)
        return Cell(f"{format_brief(found.value)} [{low}, {high}]", values)
    if verdict.measure == "solved":
        return Cell("{}/{} ".format(*sample.share) + format_interval(found).partition(" ")[2], values)
    return Cell(format_interval(found), values)


def _reaches(card: Card) -> Table:
    columns = (
        Column("task", ("task",), left=True, words=True),
        Column("model", ("model",), left=True),
        Column("reaches after training", ("reach", "least", "most"), left=True),
    )
    rows = tuple(
        (
            worded(card.suite.tasks[task].title),
            worded(name),
            worded(f"{median(all_):g} [{min(all_)}, {max(all_)}]", median(all_), min(all_), max(all_)),
        )
        for task, models in card.reaches.items()
        for name, all_ in models.items()
        if all_
    )
    caption = "Steps back, of the loss as trained on, in the last row of a run's log: median, least and most over seeds."
    return Table("How far does its gradient reach after training?", caption, {}, columns, rows)


def _tuning(card: Card) -> Table:
    columns = (
        Column("task", ("task",), left=True, words=True),
        Column("model", ("model",), left=True),
        Column("chosen", ("chosen",), left=True, words=True),
        Column("validation, default", ("default",)),
        Column("chosen", ("best",)),
        Column("expected best of 1, 2, 4 ...", ("expected",), left=True),
    )
    rows = tuple(
        (
            worded(card.suite.tasks[one["task"]].title),
            worded(one["model"]),
            worded(" ".join(one["words"]) or "the suite's own"),
            worded(format_number(one["default"]), one["default"]),
            worded(format_number(one["best"]), one["best"]),
            worded(" ".join(format_number(value) for value in one["expected"])),
        )
        for one in card.tuning
    )
    return Table("Tuning", "The same points and seeds for every model; validation alone was looked at.", {}, columns, rows)


def _row(card: Card) -> Table:
    """A row for a table of cards."""
    words = [one.word for one in card.verdicts]
    own = next((one for one in card.costs if one.model == card.cell), None)
    left = "not seen" if card.suite.screening else "open"
    columns = tuple(
        Column(name, (name,), left=name in ("cell", "suite"))
        for name in ("cell", "suite", "laws", "parameters", "state", "time", "reach", "ahead", "behind", left)
    )
    row = (
        worded(card.cell),
        worded(card.suite.version),
        worded(f"{len(card.laws) - len(card.broken)}/{len(card.laws)}"),
        worded(format_compact(own.parameters) if own else "–"),
        worded(format_compact(own.state) if own else "–"),
        worded(f"{own.times[1]:.2f}×" if own else "–"),
        worded(_reach(own.reach, REACH[0]).partition(",")[0] if own else "–"),
        *(worded(str(words.count(word))) for word in ("ahead", "behind", left)),
    )
    return Table("In one row", "", {}, columns, (row,))


def card_json(card: Card) -> str:
    """Everything as JSON; what is infinite is null."""
    whole = {
        "schema": 1,
        "cell": card.cell,
        "suite": card.suite.model_dump(),
        "source": card.source,
        "command": card.command,
        "says": card.says,
        "stopped": bool(card.broken),
        "tuned": card.tuned,
        "tuned_elsewhere": list(card.tuned_elsewhere),
        "committed_records": card.committed,
        "left_out": list(card.left_out),
        "laws": [asdict(law) for law in card.laws],
        "costs": [asdict(cost) for cost in card.costs],
        "runs": {
            task: {name: [one._asdict() for one in sample.outcomes] for name, sample in models.items()}
            for task, models in card.samples.items()
        },
        "parameters": {
            task: {name: sample.parameters for name, sample in models.items()} for task, models in card.samples.items()
        },
        "verdicts": [asdict(verdict) for verdict in card.verdicts],
        "besides": [
            {**asdict(one.width), "parameters": one.own.parameters, "verdict": asdict(one.verdict)} for one in card.besides
        ],
        "besides_runs": [[run._asdict() for run in one.own.outcomes] for one in card.besides],
        "unmet": [asdict(one) for one in card.unmet],
        "reach_after_training": {
            task: {name: list(all_) for name, all_ in models.items()} for task, models in card.reaches.items()
        },
        "tuning": list(card.tuning),
        "row": {column.title: cell.text for column, cell in zip(_row(card).columns, _row(card).rows[0], strict=True)},
        "versions": {"rnnbench": __version__},
    }
    return json.dumps(_finite(whole), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_card(card: Card, folder: Path) -> list[Path]:
    """Writes card.html, card.md and card.json, each whole or not at all."""
    tables = card_tables(card)
    texts = {"card.html": to_page(tables), "card.md": to_markdown(tables), "card.json": card_json(card)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_atomically(folder / name, text.encode("utf-8", "backslashreplace"))
    return [folder / name for name in texts]
