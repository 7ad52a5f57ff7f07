"""The parts of grid.yaml and reported.yaml, as pydantic models."""

from __future__ import annotations

import shlex
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..options import nearest

SCALES = ("paper", "laptop", "smoke")
FROM_LOGS = ("first.", "last.", "max.", "mean.")
RATES = ("solved", "diverged")
TIMES = ("steps_to_solve", "sequences_to_solve")
NUMBERS = ("score", *RATES, *TIMES, "parameters", "multiply_adds", "state_size", "seconds_per_step", "recall_lag")
LOWER = ("seconds_per_step", "parameters", "multiply_adds", "state_size", "diverged", *TIMES)  # where less is better

MOST_SEEDS = 1000  # of a cell
Whole = Annotated[int, Field(strict=True, ge=0, le=10**6)]  # strict: `true` and "5" are no numbers
Number = Annotated[float, Field(strict=True)]
Words = Annotated[tuple[str, ...], BeforeValidator(lambda given: shlex.split(given) if isinstance(given, str) else given)]


def _metric(name: str) -> str:
    if name not in NUMBERS and not str(name).startswith(("test.", "validation.", *FROM_LOGS)):
        raise ValueError(f"no metric {name!r}{nearest(str(name), NUMBERS)}")
    return name


Metric = Annotated[str, BeforeValidator(_metric)]


class GridPart(BaseModel):
    """A part of a file: every key is known, nothing is changed after."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ColumnSpec(GridPart):
    title: str = ""
    words: Words = ()


# By the standard deviation of a pilot over the margin: the seeds of a first look that calls a setting that is the source's own
# reproduced with a chance of 80 % at least.
FIRST_LOOKS = ((0.3, 3), (0.5, 4), (0.75, 8), (1.0, 12), (1.5, 30))


def first_look(pilot: float) -> int:
    """The seeds of a first look, by the standard deviation of a pilot over the margin. ValueError beyond what seeds can do."""
    for ratio, seeds in FIRST_LOOKS:
        if pilot <= ratio:
            return seeds
    raise ValueError(f"pilot {pilot:g}: {FIRST_LOOKS[-1][0]:g} at most: no number of seeds at hand settles so small a margin")


class Seeds(GridPart):
    """The stopping rule: `first` seeds, from 0; where a verdict stays open `more` at a time, up to `most`.

    `pilot` (a standard deviation over the margin) in place of `first`: as many as `first_look` gives. `added`: looks, by their
    seeds, that were declared after the first runs were seen.
    """

    first: Annotated[Whole, Field(ge=1, le=MOST_SEEDS)] = 5
    more: Annotated[Whole, Field(le=MOST_SEEDS)] = 0
    most: Annotated[Whole, Field(le=MOST_SEEDS)] = 0
    pilot: Annotated[Number, Field(gt=0)] | None = None
    added: tuple[Annotated[Whole, Field(le=MOST_SEEDS)], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def first_by_pilot(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not isinstance(given.get("pilot"), int | float):
            return given
        if "first" in given:
            raise ValueError("seeds: `first` or `pilot`, which gives it; not both")
        return {**given, "first": first_look(given["pilot"])}

    @model_validator(mode="after")
    def together(self) -> Seeds:
        if bool(self.more) != bool(self.most) or (self.most and self.most <= self.first):
            raise ValueError("seeds: `more` and `most` stand together, and `most` is above `first`")
        if any(seeds <= self.first or seeds in self._planned for seeds in self.added):
            raise ValueError("seeds: a look that was added is above `first`, and not one of those that were planned")
        return self

    @property
    def _planned(self) -> list[int]:
        return [*range(self.first, self.most, self.more), self.most] if self.more else [self.first]

    @property
    def looks(self) -> list[int]:
        """Seeds a cell has at each look."""
        return sorted({*self._planned, *self.added})

    def levels(self, level: float) -> list[float]:
        """The level of each look: an equal share of `level` for those of the plan. From the first look that was added later on,
        each takes half of what those before it left."""
        found: list[float] = []
        for seeds in self.looks:
            later = any(one <= seeds for one in self.added)
            found.append((level - sum(found)) / 2 if later else level / len(self._planned))
        return [one if one > 1e-9 * level else 0.0 for one in found]

    def judged(self, level: float) -> list[tuple[int, float]]:
        """(seeds, level) of each look at which a verdict can be reached."""
        return [(seeds, one) for seeds, one in zip(self.looks, self.levels(level), strict=True) if one]

    def at(self, look: int) -> int:
        """Seeds at look number `look`, from 0; those of the last one after it."""
        return self.looks[min(look, len(self.looks) - 1)]


class Scale(GridPart):
    """What is run at a scale. `turns`: words of which each seed takes one, in turn, after all others: where the source's value
    is of runs that differ in more than their seed."""

    words: Words = ()
    cells: dict[str, Words] = {}  # by column, after all others
    turns: tuple[Words, ...] = ()
    seeds: Seeds = Seeds()
    minutes: Number | dict[str, Number] | None = None  # of one run on one core; by column where they differ
    reduction: str = ""  # of the paper's setting, in words

    @model_validator(mode="after")
    def several(self) -> Scale:
        if self.turns and len(set(self.turns)) < max(2, len(self.turns)):
            raise ValueError("turns: two at least, and none twice")
        return self

    @model_validator(mode="after")
    def costs(self) -> Scale:
        each = self.minutes if isinstance(self.minutes, dict) else {"": self.minutes}
        for column, minutes in each.items():
            if minutes is not None and minutes <= 0:
                raise ValueError(f"minutes {f'{column}: ' if column else ''}{minutes:g}: above 0")
        return self


class Quirk(GridPart):
    """A departure from the cells of a row; `words` by column where they differ, and then of no other column.

    With a `detail` it is another reading of that detail of the source, which the row's own words read as it is stated. A
    reading that a number printed in the source excludes is `struck` by that number, and not run.
    """

    words: Words | dict[str, Words] = ()
    says: str
    detail: str = ""
    struck: str = ""

    def words_of(self, column: str) -> tuple[str, ...] | None:
        """The words that it adds to a cell of `column`; None where it is none of that column."""
        return self.words.get(column) if isinstance(self.words, dict) else self.words


class Ladder(GridPart):
    """Quirks taken away one by one: from a setting with all of them to the row's own, with none."""

    columns: tuple[str, ...]
    scale: Literal["paper", "laptop"] = "laptop"
    first: str = "published"  # what the setting with every quirk is called
    last: str = "fair"  # and the row's own


class Readings(GridPart):
    """Every combination of the readings of a row's details that are not struck, besides the one that is as stated."""

    columns: tuple[str, ...]
    scale: Literal["paper", "laptop"] = "paper"
    seeds: Annotated[Whole, Field(ge=1, le=MOST_SEEDS)] = 3


class Contrast(GridPart):
    """a against b; `margin` is relative where there is a `ratio`."""

    says: str
    a: str
    b: str | Number
    metric: Metric = ""
    expect: Literal["more", "less", "same"]
    margin: Annotated[Number, Field(gt=0)] | None = None
    ratio: Annotated[Number, Field(gt=0)] | None = None
    when: str = ""

    @model_validator(mode="after")
    def together(self) -> Contrast:
        if self.expect == "same" and self.margin is None:
            raise ValueError("expect: same needs a margin: not significant is not the same")
        return self


class Gap(GridPart):
    """Two values of a row that its source itself calls different, in the unit of our metric, and the last digit it prints."""

    between: tuple[float, float]
    digit: float = Field(gt=0)
    says: str  # of what the two values are
    at: str  # where the source calls them different
    factor: bool = False  # whether the gap is a factor, too: of errors near zero a difference says nothing

    @model_validator(mode="after")
    def above_zero(self) -> Gap:
        if self.factor and min(self.between) <= 0:
            raise ValueError("factor: between two values above 0")
        return self

    @property
    def margin(self) -> float:
        """A third of the gap, and not below the printed digit."""
        return max(abs(self.between[0] - self.between[1]) / 3, self.digit)

    def margin_at(self, value: float) -> float:
        """The margin of a reported value: of a `factor` its cube root, as a difference from the value, where that is less."""
        return min(self.margin, value * (self.cube_root - 1)) if self.factor else self.margin

    @property
    def cube_root(self) -> float:
        """A third of the gap as a factor."""
        return float((max(self.between) / min(self.between)) ** (1 / 3))


class RowSpec(GridPart):
    """A row; `margin` is what its values may differ by, given as a number where the source calls no `gap` a difference.

    `ratio` in place of a margin: by what factor means of times may differ, which vary too much for a difference.
    """

    title: str
    priority: Whole = 9
    words: Words = ()
    metric: Metric = "score"
    better: Literal["more", "less"] | None = None  # of the metric; null: as the task has it of its headline
    data: str = ""  # first digits of the fingerprint of its data
    margin: Annotated[Number, Field(gt=0)] | None = None
    margin_note: str = ""  # why it is no third of a gap
    gap: Gap | None = None
    ratio: Annotated[Number, Field(gt=1)] | None = None
    columns: tuple[str, ...] | dict[str, ColumnSpec] | None = None
    cells: dict[str, Words] = {}
    scales: dict[Literal["paper", "laptop"], Scale]
    quirks: dict[str, Quirk] = {}
    ladder: Ladder | None = None
    readings: Readings | None = None
    says: str = ""
    claim: Whole | None = None
    refuted_by: str = ""
    answers: dict[Literal["yes", "partly", "no", "open"], str] = {}  # what was found, in a sentence, by the answer that it fits
    family: str = ""  # rows of one name make one claim: Holm's correction is over the contrasts of all of them
    contrasts: dict[str, Contrast] = {}

    @model_validator(mode="after")
    def one_margin(self) -> RowSpec:
        if self.gap and self.margin is not None:
            raise ValueError("`margin` or `gap`, a third of which is the margin; not both")
        if self.ratio and (self.gap or self.margin is not None or self.metric not in TIMES):
            raise ValueError(f"`ratio` is of {' and '.join(TIMES)}, in place of `margin` and `gap`")
        return self

    @model_validator(mode="after")
    def readings_or_ladder(self) -> RowSpec:
        details = [bool(quirk.detail) for quirk in self.quirks.values()]
        if any(quirk.struck and not quirk.detail for quirk in self.quirks.values()):
            raise ValueError("quirks: a reading that is `struck` is of a `detail`")
        if (self.readings and not all(details)) or (self.ladder and any(details)) or (any(details) and not self.readings):
            raise ValueError("quirks: those of `readings` have a `detail`, those of a `ladder` have none")
        if self.readings and not self.ratio:
            raise ValueError("`readings` are of a row with a `ratio`, whose metric is a time to solve")
        return self

    @property
    def value_margin(self) -> float | None:
        """The margin of the values that are reported for the row; `margin_at` is less for some."""
        return self.gap.margin if self.gap else self.margin

    def margin_at(self, value: float) -> float:
        """The margin of a value that is reported for the row; 0 for a row without one, of which `ratio` is used."""
        return self.gap.margin_at(value) if self.gap else self.margin or 0.0


class ReportSource(GridPart):
    title: str
    authors: str
    year: Whole
    where: str
    version: str = ""


class Differs(GridPart):
    """How even our paper scale is another setting than the source's.

    unknown: the source does not say; at least three values were `tried`, each in words of a command line, declared before, and
    that of our cell was chosen among them by validation. Until it is `chosen`, they are a plan, and the value has no verdict.
    other: the source says otherwise. scale: ours is smaller.
    """

    kind: Literal["unknown", "other", "scale"]
    says: str
    tried: tuple[Words, ...] = ()
    chosen: bool = False
    beside: Words = ()  # more words of the runs that choose, such as a validation split where the source has none

    @model_validator(mode="after")
    def enough(self) -> Differs:
        if self.kind == "unknown" and len(set(self.tried)) < 3:
            raise ValueError(
                f"differs: what a source does not say is tried with three values at least; got {len(set(self.tried))}"
            )
        if self.kind != "unknown" and (self.tried or self.chosen or self.beside):
            raise ValueError(
                f"differs: `tried` and what is with it is of what a source does not say; this is of kind {self.kind}"
            )
        return self


def _differs(given: Any) -> Any:
    """Words alone are what the source says otherwise; none is no difference."""
    return ({"kind": "other", "says": given} if given else None) if isinstance(given, str) else given


class Reported(GridPart):
    """A value of a source, in the unit of our metric."""

    value: Number
    source: str
    at: str
    sure: Literal["seen", "secondary"]
    estimator: Literal["single", "mean", "best", "unknown"]
    selection: Literal["last", "best validation", "best test", "unknown"] = "unknown"  # which evaluation of a run is its value
    setting: str = ""
    seeds: Annotated[Whole, Field(ge=1)] | None = None
    solved: Annotated[Whole, Field(ge=0)] | None = None  # of these, how many solved the task, where the source says so
    sd: Annotated[Number, Field(ge=0)] | None = None
    printed: str = ""
    differs: Annotated[Differs | None, BeforeValidator(_differs)] = None

    @property
    def all_may_have_solved(self) -> bool:
        """Whether all of its runs solved the task, as far as the source says; where some did not, a mean is of the others."""
        return self.solved in (None, self.seeds)

    @model_validator(mode="after")
    def share(self) -> Reported:
        if self.solved is not None and (self.seeds is None or self.solved > self.seeds):
            raise ValueError(f"solved: {self.solved} of seeds: {self.seeds or 'none'}; allowed: as many as seeds at most")
        return self


class Grid(GridPart):
    title: str
    about: str
    level: Annotated[Number, Field(gt=0, lt=0.5)] = 0.05
    columns: dict[str, ColumnSpec] = {}
    winners: str = ""  # a file beside grid.yaml: the settings that a search chose for each task and model
    rows: dict[str, RowSpec] = Field(min_length=1)


class Reports(GridPart):
    sources: dict[str, ReportSource] = {}
    values: dict[str, tuple[Reported, ...]] = {}
