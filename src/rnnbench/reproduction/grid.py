"""The parts of grid.yaml and reported.yaml, as pydantic models."""

from __future__ import annotations

import shlex
from typing import Annotated, Literal

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


class Seeds(GridPart):
    """The stopping rule: `first` seeds, from 0; where a verdict stays open `more` at a time, up to `most`."""

    first: Annotated[Whole, Field(ge=1, le=MOST_SEEDS)] = 5
    more: Annotated[Whole, Field(le=MOST_SEEDS)] = 0
    most: Annotated[Whole, Field(le=MOST_SEEDS)] = 0

    @model_validator(mode="after")
    def together(self) -> Seeds:
        if bool(self.more) != bool(self.most) or (self.most and self.most <= self.first):
            raise ValueError("seeds: `more` and `most` stand together, and `most` is above `first`")
        return self

    @property
    def looks(self) -> list[int]:
        """Seeds a cell has at each look."""
        return [*range(self.first, self.most, self.more), self.most] if self.more else [self.first]

    def at(self, look: int) -> int:
        """Seeds at look number `look`, from 0; those of the last one after it."""
        return self.looks[min(look, len(self.looks) - 1)]


class Scale(GridPart):
    words: Words = ()
    seeds: Seeds = Seeds()
    minutes: Number | dict[str, Number] | None = None  # of one run on one core; by column where they differ
    reduction: str = ""  # of the paper's setting, in words

    @model_validator(mode="after")
    def costs(self) -> Scale:
        each = self.minutes if isinstance(self.minutes, dict) else {"": self.minutes}
        for column, minutes in each.items():
            if minutes is not None and minutes <= 0:
                raise ValueError(f"minutes {f'{column}: ' if column else ''}{minutes:g}: above 0")
        return self


class Quirk(GridPart):
    words: Words = ()
    says: str


class Ladder(GridPart):
    columns: tuple[str, ...]
    scale: Literal["paper", "laptop"] = "laptop"


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


class RowSpec(GridPart):
    title: str
    priority: Whole = 9
    words: Words = ()
    metric: Metric = "score"
    better: Literal["more", "less"] | None = None  # of the metric; null: as the task has it of its headline
    data: str = ""  # first digits of the fingerprint of its data
    margin: Annotated[Number, Field(gt=0)] | None = None
    columns: tuple[str, ...] | dict[str, ColumnSpec] | None = None
    cells: dict[str, Words] = {}
    scales: dict[Literal["paper", "laptop"], Scale]
    quirks: dict[str, Quirk] = {}
    ladder: Ladder | None = None
    says: str = ""
    claim: Whole | None = None
    refuted_by: str = ""
    contrasts: dict[str, Contrast] = {}


class ReportSource(GridPart):
    title: str
    authors: str
    year: Whole
    where: str
    version: str = ""


class Reported(GridPart):
    """A value of a source, in the unit of our metric."""

    value: Number
    source: str
    at: str
    sure: Literal["seen", "secondary"]
    estimator: Literal["single", "mean", "best", "unknown"]
    setting: str = ""
    seeds: Annotated[Whole, Field(ge=1)] | None = None
    sd: Annotated[Number, Field(ge=0)] | None = None
    printed: str = ""
    differs: str = ""  # how even our paper scale is another setting


class Grid(GridPart):
    title: str
    about: str
    level: Annotated[Number, Field(gt=0, lt=0.5)] = 0.05
    columns: dict[str, ColumnSpec] = {}
    rows: dict[str, RowSpec] = Field(min_length=1)


class Reports(GridPart):
    sources: dict[str, ReportSource] = {}
    values: dict[str, tuple[Reported, ...]] = {}
