"""The page of a card: tables for HTML and Markdown, a row for a table of cards, and everything as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from ..analysis.formatting import format_brief, format_compact, format_interval, format_number
from ..analysis.intervals import Estimate
from ..analysis.render import to_markdown, to_page
from ..analysis.table import Cell, Column, Table
from ..laws.results import LawResult
from ..options import amount
from ..run.provenance import processor_name
from ..store.record import Record, write_atomically
from ..version import __version__
from .cost import REACH, SHAPES, WIDTH, CellCost
from .outcomes import MOST_SEEDS, RATIO, CardVerdict, Sample, SamplePair, answer_family, judge, sample_of, verdict_summary
from .pictures import picture_html
from .runs import CardRun, EqualWidth, fading_after_training, reach_after_training
from .suite import Suite, least_p

TONES = {"ahead": "good", "behind": "poor"}
EQUAL = {"state": "state", "time": "time a step"}
SHAPE_WORDS = [f"T={steps} B={rows} H={width}" for steps, rows, width in SHAPES]  # for which times are measured
TESTS = (
    "p: of a permutation test of the mean score, or of the log-rank scores of steps to solve; of a solve rate, of Fisher's test"
)
INTERVALS = "In brackets, intervals of 95 %, each by itself: they are not corrected for the number of comparisons."
MEASURES = {"steps_to_solve": "steps to solve", "solved": "solve rate", "score": "score"}


@dataclass(frozen=True)
class BesidesVerdict:
    """What came out at equal state or at equal time a step."""

    width: EqualWidth
    own: Sample
    verdict: CardVerdict


class SettingRow(NamedTuple):
    """With what a model was trained on a task."""

    task: str
    model: str
    width: int
    parameters: int
    floor: float | None
    words: tuple[str, ...]  # those of the suite for all tasks left out


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
    faded: Mapping[str, Sequence[float]] = field(default_factory=dict)  # of the cell by task: see fading_after_training
    tuning: Sequence[Mapping[str, Any]] = ()  # what the search chose, by task and model
    tuned: bool = False
    tuned_elsewhere: Sequence[str] = ()  # tasks and models of whose search the other settings are not known
    besides: Sequence[BesidesVerdict] = ()  # a family of their own
    unmet: Sequence[EqualWidth] = ()  # of those, what no width meets
    left_out: Sequence[str] = ()  # tasks without data here
    committed: int = 0  # records that came with the suite
    file: str = ""  # of the cell, where it is from one
    sources: Mapping[str, str] = field(default_factory=dict)  # digests, of opponents from files
    settings: Sequence[SettingRow] = ()  # by task and model

    @property
    def broken(self) -> list[str]:
        return [law.broken for law in self.laws if law.broken]

    @property
    def says(self) -> str:
        """What came out, in a few sentences."""
        if self.broken:
            return f"Stopped: {len(self.broken)} of {len(self.laws)} laws do not hold, so that nothing was compared."
        found = verdict_summary(self.suite, self.verdicts)
        own = [one for models in self.samples.values() for one in models[self.cell].outcomes]
        if diverged := sum(one.diverged for one in own):
            found += f" {diverged} of {amount(len(own), 'run')} of {self.cell} diverged."
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
    card.settings = _setting_rows(card.suite, runs)
    card.samples = {task: {name: sample_of(name, found) for name, found in models.items()} for task, models in records.items()}
    card.verdicts = judge(card.suite, card.samples, card.cell)
    card.faded = fading_after_training([run for run in runs if not run.line.equal and run.line.model == card.cell])
    card.reaches = reach_after_training([run for run in runs if not run.line.equal])
    samples = {width: sample_of(card.cell, found) for width, found in others.items()}
    asked = [SamplePair(width.task, own, card.samples[width.task][width.opponent]) for width, own in samples.items()]
    verdicts = answer_family(card.suite, asked)
    card.besides = [BesidesVerdict(*one) for one in zip(samples, samples.values(), verdicts, strict=True)]


def _setting_rows(suite: Suite, runs: Sequence[CardRun]) -> list[SettingRow]:
    """Of the runs at equal parameters, a row for each task and model."""
    rows: dict[tuple[str, str], SettingRow] = {}
    for run in runs:
        if run.line.equal or not run.record or (run.line.task, run.line.model) in rows:
            continue
        words = [
            word
            for word in run.line.words
            if not word.startswith(("model=", "seed=", "test_seed=")) and word not in suite.words
        ]
        width, size = run.record["config"]["model"].get("hidden_size", 0), run.record["model"]["parameters"]
        rows[run.line.task, run.line.model] = SettingRow(
            run.line.task, run.line.model, int(str(width)), size, run.record["task"]["floor"], tuple(words)
        )
    return list(rows.values())


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
        _with_settings(card),
        _tuning(card),
        _row(card),
    ]
    return [table for table in tables if table.rows or table.gaps]


def _facts(card: Card) -> Table:
    suite = card.suite
    opponents = list(dict.fromkeys(one.opponent for one in card.verdicts))
    facts = [
        ("suite", f"{suite.version}. {suite.about}"),
        ("against", ", ".join(f"{name}{_source(card.sources.get(name, ''))}" for name in opponents)),
        (
            "equal parameters",
            " ".join(word for word in suite.words if word.startswith("budget."))
            + ": the whole network, embedding and read-out too",
        ),
        ("settings", _settings(card)),
        ("seeds", f"{suite.seeds} of {card.cell}, {suite.opponent_seeds} of each opponent{_come(card)}"),
        (
            "test rows",
            f"where a task draws them, those of {card.cell} have a seed of their own, made of its code ({card.source[:8]}) and "
            "of the suite's version; each run reads them once. Scores are of test rows; steps to solve and solve rates are of "
            "validation rows, the same for every model",
        ),
        ("the suite is public", "a cell may have been made for it"),
        *[("left out", one) for one in card.left_out],
        ("command", card.command),
        ("made with", f"rnnbench {__version__}, PyTorch {version('torch')}, {processor_name()}"),
    ]
    columns = (Column("about", ("what",), left=True), Column("this card", ("value",), left=True, words=True))
    shown = facts if card.verdicts else [facts[0], *facts[-2:]]
    rows = tuple((worded(name), worded(value)) for name, value in shown if value)
    return Table(f"{card.cell}: card {suite.version}", card.says, {}, columns, rows)


def _source(digest: str) -> str:
    return f" (source {digest[:8]})" if digest else ""


def _come(card: Card) -> str:
    """Of the runs, those that come with the program."""
    runs = sum(len(sample.outcomes) for models in card.samples.values() for sample in models.values())
    return f"; of {runs} runs, {card.committed} come with rnnbench" if card.committed else ""


def _settings(card: Card) -> str:
    if not card.tuned:
        return "of the suite, the same for every model; nothing was tuned. They stand below"
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
        "The laws of check_cell. A law that does not hold stops the card.",
        {},
        columns,
        rows,
    )


def _costs(card: Card) -> Table:
    columns = (
        Column("model", ("model",), left=True),
        Column("parameters", ("parameters",)),
        Column("state", ("state",)),
        Column("multiplications a step", ("products",)),
        *(Column(f"time, {shape}", (f"time {shape}",)) for shape in SHAPE_WORDS),
        Column("memory", ("memory",)),
        Column("gradient reaches, untrained", ("reach",)),
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
        "Time: of a forward and a backward pass on one thread of this machine, relative to torch.nn.LSTM of the same shape "
        "(1.00: as fast; lstm and gru of rnnbench are other code than PyTorch's). It is measured anew by each command, and "
        f"other work on the machine changes it. Memory: what is kept for the backward pass at {SHAPE_WORDS[1]}, relative to "
        "the same.",
        "Gradient reaches: steps back until the norm of the loss's gradient by the state is 1 % of that at the last step; "
        f"before training, at sequences of {REACH[0]} steps.",
    )
    return Table(
        "What does it cost?",
        f"Without read-out, at {WIDTH} inputs and units where no H is said. T: steps, B: rows, H: units.",
        {},
        columns,
        rows,
        notes=notes if rows else (),
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
        f"{TESTS}, with Holm's correction over all {len(rows)} comparisons; ahead or behind: p is at most {suite.level:g}."
        f"{_least(card)}",
        INTERVALS,
        "Steps to solve: the median over seeds; a run that did not solve its task counts as still running. A dash: "
        "too few seeds for a bound. A run that diverged did not solve its task, and its score is the floor's.",
        "Difference: of the cell to the opponent, in the measure; of steps to solve, that of the means, where a run that did "
        "not solve its task counts all steps of training. p is of the whole curves of steps to solve, not of this mean: "
        "the two may disagree. Where few runs solve a task the interval of a difference in steps is too narrow.",
        "Seeds needed: of each model, in a new card, for p to be small enough with a chance of about 80 %, should the "
        "difference be as it is here.",
    )
    caption = "Each task has one measure, which the suite declares."
    return Table("Where is it better?", caption, {}, columns, rows, tuple(gaps), notes if rows else ())


def _least(card: Card) -> str:
    """The least p that so few seeds can reach; empty where there are more than enough."""
    suite = card.suite
    least = least_p(suite.seeds, suite.opponent_seeds) * len(card.verdicts)
    if least < suite.level / 5:
        return ""
    return f" With {suite.seeds} and {suite.opponent_seeds} seeds the least p is {least:.2g}: only clear differences are seen."


def _evidence_columns(card: Card) -> tuple[Column, ...]:
    return (
        Column("measure", ("measure",), left=True),
        Column(card.cell, ("own", "own_low", "own_high"), left=True),
        Column("opponent", ("other", "other_low", "other_high"), left=True),
        Column("difference", ("gap", "gap_low", "gap_high"), left=True),
        Column("p", ("p",)),
        Column("seeds needed", ("seeds",)),
    )


def _evidence(card: Card, one: CardVerdict, own: Sample) -> tuple[Cell, ...]:
    """The cells of these: the measure of the cell and of its opponent, their difference, p, and seeds needed."""
    return (
        worded(_measure(card, one)),
        _estimate(one, one.own, own),
        _estimate(one, one.other, card.samples[one.task][one.opponent]),
        Cell(("×" if one.gap.estimator == RATIO else "") + format_interval(one.gap), _bounds(one.gap)),
        worded(format_number(one.p), one.p),
        worded(_seeds(one), one.seeds),
    )


def _seeds(one: CardVerdict) -> str:
    if one.word in TONES:
        return ""
    return f"{one.seeds:,}" if one.seeds else "no difference" if one.equal else f"over {MOST_SEEDS:,}"


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
        f"{suite.tasks[one.task].title}, {one.opponent}: no width of {card.cell} has an equal {EQUAL[one.equal]}; "
        + (
            f"the nearest, {one.width}, has {one.ratio:.3f} times the opponent's"
            if math.isfinite(one.ratio)
            else "the opponent has none"
        )
        for one in card.unmet
    ]
    gaps += [
        f"{suite.tasks[one.width.task].title}, {one.width.opponent}, equal {EQUAL[one.width.equal]}: {count} of "
        f"{amount(len(one.own.outcomes), 'run')} of {card.cell} diverged"
        for one in card.besides
        if (count := sum(run.diverged for run in one.own.outcomes))
    ]
    asked = amount(len(rows), "comparison")
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
    values = _bounds(found)
    if verdict.measure == "steps_to_solve":
        bounds = (found.low, found.high)
        low, high = ("–" if bound is None or math.isinf(bound) else format_brief(bound) for bound in bounds)
        return Cell(f"{format_brief(found.value)} [{low}, {high}]", values)
    if verdict.measure == "solved":
        return Cell("{}/{} ".format(*sample.share) + format_interval(found).partition(" ")[2], values)
    return Cell(format_interval(found), values)


def _bounds(found: Estimate) -> tuple[float | None, ...]:
    return tuple(None if value is None or math.isinf(value) else value for value in (found.value, found.low, found.high))


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
    caption = (
        "Steps back in a sequence, at the last training step that was logged: median, least and most over seeds. The most that "
        "can be is the length of the sequence."
    )
    return Table("How far does its gradient reach after training?", caption, {}, columns, rows)


def _with_settings(card: Card) -> Table:
    columns = (
        Column("task", ("task",), left=True, words=True),
        Column("model", ("model",), left=True),
        Column("width", ("width",)),
        Column("parameters", ("parameters",)),
        Column("floor", ("floor",)),
        Column("settings", ("settings",), left=True, words=True),
    )
    rows = tuple(
        (
            worded(card.suite.tasks[one.task].title),
            worded(one.model),
            worded(str(one.width), one.width),
            worded(f"{one.parameters:,}", one.parameters),
            worded("–" if one.floor is None else format_number(one.floor), one.floor),
            worded(" ".join(one.words)),
        )
        for one in card.settings
    )
    caption = (
        f"Of all: {' '.join(card.suite.words)}. Width: model.hidden_size. Floor: the best score without memory, on the "
        "test rows of the model. card.json has every run."
    )
    return Table("With which settings?", caption, {}, columns, rows)


def _tuning(card: Card) -> Table:
    columns = (
        Column("task", ("task",), left=True, words=True),
        Column("model", ("model",), left=True),
        Column("chosen", ("chosen",), left=True, words=True),
        Column("validation score, suite's own", ("default",)),
        Column("of the chosen", ("best",)),
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
    notes = (
        "Where the measure is a score, the setting with the best is chosen. Else the one that solves the task in the most "
        "seeds, and of several the soonest: a run stops there, and its score says little.",
    )
    caption = "The same points and seeds for every model; validation alone was looked at."
    return Table("Tuning", caption, {}, columns, rows, notes=notes if rows else ())


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
    return Table("In one row", f"time: at {SHAPE_WORDS[1]}." if own else "", {}, columns, (row,))


def _pictures(card: Card) -> dict[str, str]:
    """The pictures of the page, by the title of the table that they stand below."""
    tasks = {card.suite.tasks[task].title: fading for task, fading in card.faded.items()}
    return {
        "What does it cost?": picture_html(
            {one.model: one.fading for one in card.costs}, "The gradient through time before training, of every model."
        ),
        "How far does its gradient reach after training?": picture_html(
            tasks,
            f"The gradient through time of {card.cell} at the last training step that was logged: geometric mean over seeds.",
        ),
    }


def card_json(card: Card) -> str:
    """Everything as JSON; what is infinite is null."""
    whole = {
        "schema": 1,
        "cell": card.cell,
        "file": card.file,
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
        "gradient_after_training": {task: list(fading) for task, fading in card.faded.items()},
        "tuning": list(card.tuning),
        "settings": [one._asdict() for one in card.settings],
        "sources": dict(card.sources),
        "row": {column.title: cell.text for column, cell in zip(_row(card).columns, _row(card).rows[0], strict=True)},
        "versions": {"rnnbench": __version__, "torch": version("torch")},
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
    texts = {"card.html": to_page(tables, _pictures(card)), "card.md": to_markdown(tables), "card.json": card_json(card)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_atomically(folder / name, text.encode("utf-8", "backslashreplace"))
    return [folder / name for name in texts]
