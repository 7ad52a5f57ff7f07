"""A table as it was declared before anything was run: sweeps/<table>/grid.yaml, and beside it reported.yaml.

    rows x columns -> cells      what is run: words of a command line, seeds, what a run costs; at a scale of the row
    contrasts                    what is asked of the columns of a row: which is more, or that two are the same
    quirks                       departures from a row's own setting; a ladder takes them away one by one, or they are other
                                 readings of details of the source, and every combination of them is run
    sources, values              what was reported, by whom, under which setting, by which estimator, of which evaluation

`paper` is the source's own setting, `laptop` a reduction that the row names; `smoke` is made of either: two steps, one seed.
The digest of a row stands beside each of its verdicts, so that a margin or a rule that is moved afterwards is seen. Torch is
never imported.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TypeVar, get_args, get_origin

from pydantic import BaseModel, RootModel, ValidationError

from ..config.compose import compose_jobs
from ..config.settings import Settings
from ..config.winners import Winners, options_of, read_winners, words_of_winner
from ..options import BadOption, nearest, unknown
from ..store.record import digest
from ..store.yaml_files import read_yaml
from .grid import LOWER, RATES, SCALES, TIMES, ColumnSpec, Contrast, Grid, Reported, Reports, RowSpec, Seeds

SWEEPS = Path(str(files("rnnbench.sweeps")))
SMOKE = ["train.steps=2", "train.eval_every=2", "train.log_every=1", "train.warmup=0"]
# Of verdicts, in every digest. 1: Holm's correction over the whole table, and no rule for looks that are added. 2: contrasts of
# means where some runs solve a task and others do not, of times a step not taken in turn, and of two sides at the floor.
RULES = 3
NUMBER = re.compile(r"\{(\w+)\.(a|b|ratio)(?::(abs|ms|percent))?\}")  # of a contrast, in the sentences of a claim's answers
DECLARABLE = ("task=", "model=", "task.", "model.", "network.", "train.", "budget.")


@dataclass(frozen=True)
class CellSpec:
    """What is run for one place of the table at one scale: words of a command line, and for how many seeds."""

    row: str
    column: str
    scale: str
    quirks: tuple[str, ...]  # those that are in; none in the row's own setting
    words: tuple[str, ...]
    seeds: Seeds
    minutes: float | None
    turns: tuple[tuple[str, ...], ...] = ()  # more words, of which each seed takes one, in turn

    def words_of(self, seed: int) -> tuple[str, ...]:
        """The words of one run of it."""
        return (*self.words, *self.turns[seed % len(self.turns)]) if self.turns else self.words

    @property
    def settings(self) -> list[tuple[str, ...]]:
        """The words of each setting that its seeds have."""
        return [self.words_of(turn) for turn in range(max(1, len(self.turns)))]

    @property
    def name(self) -> str:
        return f"{self.row}/{self.column}" + (f"+{'+'.join(self.quirks)}" if self.quirks else "")

    @property
    def place(self) -> tuple[str, str]:
        """The same for two cells that differ in scale only."""
        return self.name, self.scale


@dataclass(frozen=True)
class OpenChoice:
    """What validation is to choose for a cell, whose source does not say it: a run each, whose test part is not looked at."""

    cell: CellSpec
    tried: tuple[tuple[str, ...], ...]  # as declared
    runs: tuple[tuple[str, ...], ...]  # the words of each run

    @property
    def minutes(self) -> float:
        return len(self.runs) * (self.cell.minutes or 0)


@dataclass(frozen=True)
class Declaration:
    name: str
    folder: Path
    grid: Grid
    reports: Reports
    winners: Winners | None = None

    def columns(self, row: str) -> dict[str, ColumnSpec]:
        """The columns of a row, by name."""
        own = self.grid.rows[row].columns
        if isinstance(own, dict):
            return own
        return {name: self.grid.columns[name] for name in (self.grid.columns if own is None else own)}

    def scales(self, row: str) -> list[str]:
        """The row's own scales, the paper's first."""
        return [scale for scale in SCALES if scale in self.grid.rows[row].scales]

    def cell(self, row: str, column: str, scale: str, quirks: Sequence[str] = ()) -> CellSpec:
        about = self.grid.rows[row]
        smoke = scale == "smoke"
        at = about.scales[self.scales(row)[-1 if smoke else self.scales(row).index(scale)]]  # type: ignore[index]
        words = [*about.words, *self.columns(row)[column].words, *about.cells.get(column, ())]
        words += [*at.words, *at.cells.get(column, ())]
        for quirk in quirks:
            words += about.quirks[quirk].words_of(column) or ()
        if self.winners is not None:
            words += words_of_winner(self.winners, words)
        minutes = at.minutes.get(column) if isinstance(at.minutes, dict) else at.minutes
        own = Seeds(first=about.readings.seeds) if about.readings and quirks else at.seeds
        seeds = Seeds(first=1) if smoke else own
        words += SMOKE if smoke else []
        return CellSpec(row, column, scale, tuple(quirks), tuple(words), seeds, 0.1 if smoke else minutes, at.turns)

    def cells(self, row: str, scale: str) -> list[CellSpec]:
        """The cells of a row without any quirk."""
        return [self.cell(row, column, scale) for column in self.columns(row)]

    def rungs(self, row: str) -> Iterator[list[CellSpec]]:
        """Of each column with a ladder: its cells from the setting with every quirk of that column to the one with none."""
        about = self.grid.rows[row]
        if about.ladder:
            for column in about.ladder.columns:
                names = [name for name, quirk in about.quirks.items() if quirk.words_of(column) is not None]
                yield [self.cell(row, column, about.ladder.scale, names[k:]) for k in range(len(names) + 1)]

    def readings(self, row: str) -> Iterator[list[CellSpec]]:
        """Of each column whose setting can be read in several ways: a cell for every combination, the one as stated first."""
        about = self.grid.rows[row]
        if about.readings:
            details: dict[str, list[str]] = {}
            for name, quirk in about.quirks.items():
                if not quirk.struck:
                    details.setdefault(quirk.detail, [""]).append(name)
            for column in about.readings.columns:
                every = ([name for name in names if name] for names in itertools.product(*details.values()))
                yield [self.cell(row, column, about.readings.scale, names) for names in every]

    def choices(self, row: str) -> list[OpenChoice]:
        """What validation is still to choose for cells of a row at the paper's scale."""
        found: dict[str, OpenChoice] = {}
        for place, values in self.reports.values.items():
            reported, _, column = place.partition("/")
            pending = [value.differs for value in values if value.differs and not value.differs.chosen]
            if reported == row and pending and "paper" in self.scales(row):
                cell = self.cell(row, column, "paper")
                tried = tuple((*cell.words, *words, *pending[0].beside) for words in pending[0].tried)
                found[column] = OpenChoice(cell, pending[0].tried, tried)
        return list(found.values())

    def digest(self, row: str) -> str:
        """Eight digits that change with what a row declares (settings, margins, looks, level, contrasts) and with RULES."""
        columns = {name: column.words for name, column in self.columns(row).items()}
        about = self.grid.rows[row]
        scales = {
            name: {"minutes", *(part for part in ("cells", "turns") if not getattr(scale, part))}
            for name, scale in about.scales.items()
        }
        words = dict.fromkeys(("title", "priority", "margin_note", "answers"), True)  # nothing that a verdict depends on
        left_out = {"scales": scales, "ladder": {"first", "last"}, **words}
        declared = about.model_dump(exclude=left_out)  # type: ignore[arg-type]
        later = [(declared, ("readings", "ratio")), *((quirk, ("detail", "struck")) for quirk in declared["quirks"].values())]
        for part, names in later:  # keys that came later: where they are not set, a declaration is as it was
            for name in names:
                if not part[name]:
                    del part[name]
        winners = {
            task: {model: options_of(one) for model, one in models.items()} for task, models in (self.winners or {}).items()
        }
        values = {place: found for place, found in self.reports.values.items() if place.partition("/")[0] == row}
        solved = {place: [one.solved for one in found] for place, found in values.items() if any(one.solved for one in found)}
        return digest([RULES, self.grid.level, columns, declared, *filter(None, (winners, solved))])[:8]

    def family(self, row: str) -> list[str]:
        """The rows whose contrasts are one family with those of `row`: those of its claim, else itself."""
        name = self.grid.rows[row].family
        return [other for other, about in self.grid.rows.items() if about.family == name] if name else [row]

    @property
    def called(self) -> str:
        """As a command names it."""
        return self.name if self.folder.parent == SWEEPS else str(self.folder)

    @property
    def contrasts(self) -> dict[tuple[str, str], Contrast]:
        """Every contrast by (row, name)."""
        return {(row, name): one for row, about in self.grid.rows.items() for name, one in about.contrasts.items()}


def table_names() -> list[str]:
    """The tables that come with the program."""
    return sorted(path.parent.name for path in SWEEPS.glob("*/grid.yaml"))


def load_declaration(name_or_folder: str) -> Declaration:
    """The table of that name, or in that folder; BadOption, in one line, for what is none or is not as declared here."""
    folder = SWEEPS / name_or_folder if name_or_folder in table_names() else Path(name_or_folder)
    if folder.is_dir() and not (folder / "grid.yaml").is_file():
        raise BadOption(f"{folder}: a table's folder holds a grid.yaml, and this one does not")
    if not (folder / "grid.yaml").is_file():
        raise unknown("table or folder", name_or_folder, table_names())
    grid = read_declared(folder / "grid.yaml", Grid)
    reports = read_declared(folder / "reported.yaml", Reports) if (folder / "reported.yaml").exists() else Reports()
    winners = read_winners(folder / grid.winners) if grid.winners else None
    table = Declaration(folder.resolve().name, folder, grid, reports, winners)
    _check(table)
    return table


Kind = TypeVar("Kind", bound=BaseModel)


def read_declared(path: Path, kind: type[Kind]) -> Kind:
    """What a YAML file declares, as a model of pydantic; BadOption, in one line, where it is not as declared there."""
    try:
        return kind.model_validate(read_yaml(path))
    except ValidationError as error:
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")  # a typo before what it leaves missing
        where = "".join(f"{part}." for part in first["loc"]).rstrip(".") + (": " if first["loc"] else "")
        said = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            known = _known_keys(kind, first["loc"][:-1])
            raise BadOption(f"{path}: {where}no such key{nearest(str(first['loc'][-1]), known)}") from None
        if first["type"] == "model_type":
            said = "settings expected, `name: value` a line"
        got = f" (got {first['input']!r:.60})" if first["type"] not in ("missing", "value_error") else ""
        raise BadOption(f"{path}: {where}{said}{got}") from None


def _known_keys(annotation: object, places: tuple[int | str, ...]) -> list[str]:
    """The keys that may stand at `places` (as pydantic names them) in what `annotation` describes."""
    parts = get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return _known_keys(annotation.model_fields["root"].annotation, places)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not places:
            return list(annotation.model_fields)
        field = annotation.model_fields.get(str(places[0]))
        return _known_keys(field.annotation, places[1:]) if field else []
    if get_origin(annotation) in (dict, list, tuple):
        return _known_keys(parts[-1 if get_origin(annotation) is dict else 0], places[1:])
    rests = (places, places[1:])  # of several kinds that are allowed, pydantic names the one that it tried
    return next(filter(None, ([key for part in parts for key in _known_keys(part, rest)] for rest in rests)), [])


def _check(table: Declaration) -> None:
    """What each part allows by itself but not beside the others."""
    path = table.folder / "grid.yaml"
    for name, row in table.grid.rows.items():
        if not row.scales:
            raise BadOption(f"{path}: rows.{name}: a scale is missing: paper or laptop")
        if row.columns is not None and not isinstance(row.columns, dict):
            for column in row.columns:
                if column not in table.grid.columns:
                    raise BadOption(f"{path}: rows.{name}: {unknown('column', column, table.grid.columns)}")
        columns = table.columns(name)
        for cell in (cell for scale in table.scales(name) for cell in table.cells(name, scale)):
            for word in (word for words in cell.settings for word in words):
                if not word.startswith(DECLARABLE):
                    raise BadOption(f"{path}: {cell.name}: {word}: words of a cell are {', '.join(DECLARABLE)}")
        minutes = [key for scale in row.scales.values() if isinstance(scale.minutes, dict) for key in scale.minutes]
        quirks = [column for quirk in row.quirks.values() if isinstance(quirk.words, dict) for column in quirk.words]
        scaled = [column for scale in row.scales.values() for column in scale.cells]
        arms = [column for part in (row.ladder, row.readings) if part for column in part.columns]
        for column in (*row.cells, *scaled, *minutes, *quirks, *arms):
            if column not in columns:
                raise BadOption(f"{path}: rows.{name}: {unknown('column', column, columns)}")
        if "laptop" in row.scales and "paper" in row.scales and not row.scales["laptop"].reduction:
            raise BadOption(f"{path}: rows.{name}.scales.laptop: its reduction must be said")
        for key, arm in (("ladder", row.ladder), ("readings", row.readings)):
            if arm and arm.scale not in row.scales:
                raise BadOption(f"{path}: rows.{name}.{key}: no scale {arm.scale}")
        for key, one in row.contrasts.items():
            metric, where = one.metric or row.metric, f"{path}: rows.{name}.contrasts.{key}"
            if metric in TIMES and (one.expect == "same" or one.ratio or isinstance(one.b, float)):
                raise BadOption(f"{where}: {metric} is more or less between two columns, no ratio")
            if metric in RATES and (one.ratio or isinstance(one.b, float)):
                raise BadOption(f"{where}: {metric} is a share: between two columns, no ratio")
            sides = places_of(table, name, one, where)
            if len(sides) > len(set(sides)):
                raise BadOption(f"{where}: a and b are both {'/'.join(sides[0])}")
            if not shared_scales(table, name, sides):
                raise BadOption(f"{where}: its sides have no scale of the row in common")
        _check_answers(path, name, row)
        judged = not isinstance(row.columns, dict) or any(place.partition("/")[0] == name for place in table.reports.values)
        if judged and row.better is None and row.metric not in ("score", *RATES, *LOWER):
            raise BadOption(f"{path}: rows.{name}: better: more or less of {row.metric} must be said")
    for place, values in table.reports.values.items():
        reported, _, column = place.partition("/")
        find_place(table, reported, column, f"{table.folder / 'reported.yaml'}: values.{place}")
        if table.grid.rows[reported].value_margin is None and table.grid.rows[reported].ratio is None:
            raise BadOption(f"{path}: rows.{reported}: a margin is missing: values are reported for it")
        for value in values:
            _check_tried(table, reported, column, value)
            if value.source not in table.reports.sources:
                raise unknown("source", value.source, table.reports.sources)


def _check_answers(path: Path, name: str, row: RowSpec) -> None:
    """BadOption where the sentence of an answer asks for a number that no contrast of its row has."""
    for answer, sentence in row.answers.items():
        where = f"{path}: rows.{name}.answers.{answer}"
        for found in NUMBER.finditer(sentence):
            if found[1] not in row.contrasts:
                raise BadOption(f"{where}: {unknown('contrast', found[1], row.contrasts)}")
        if brace := re.search(r"\S*[{}]\S*", NUMBER.sub("", sentence)):
            raise BadOption(f"{where}: {brace[0]}: {{contrast.a}}, .b or .ratio, and after it nothing, :abs, :ms or :percent")


def _check_tried(table: Declaration, row: str, column: str, value: Reported) -> None:
    """BadOption unless what was tried is words of a command line, of which our cell has one."""
    tried, where = value.differs.tried if value.differs else (), f"{table.folder / 'reported.yaml'}: values.{row}/{column}"
    for word in (word for words in (*tried, value.differs.beside if value.differs else ()) for word in words):
        if not word.startswith(DECLARABLE):
            raise BadOption(f"{where}: differs: {word}: words of a cell are {', '.join(DECLARABLE)}")
    if tried and "paper" in table.scales(row):
        ours = table.cell(row, column, "paper").words
        if not any(set(words) <= set(ours) for words in tried):
            raise BadOption(f"{where}: differs: the cell has none of what was tried: {', '.join(map(' '.join, tried)):.200}")


def find_place(table: Declaration, row: str, side: str, where: str = "") -> tuple[str, str]:
    """(row, column) of a side of a contrast: a column of its row, or `row/column`."""
    other, _, column = side.rpartition("/")
    place = other or row
    if place not in table.grid.rows:
        raise BadOption(f"{where}: {unknown('row', place, table.grid.rows)}")
    if column not in table.columns(place):
        raise BadOption(f"{where}: {unknown('column', column, table.columns(place))}")
    return place, column


def metric_of(table: Declaration, row: str, contrast: Contrast) -> str:
    return contrast.metric or table.grid.rows[row].metric


def places_of(table: Declaration, row: str, one: Contrast, where: str = "") -> list[tuple[str, str]]:
    """(row, column) of the sides of a contrast: of both, or of a alone, where b is a number."""
    return [find_place(table, row, side, where) for side in (one.a, one.b) if isinstance(side, str)]


def shared_scales(table: Declaration, row: str, places: Sequence[tuple[str, str]]) -> list[str]:
    """The scales of `row` that the rows of all `places` have, too."""
    return [scale for scale in table.scales(row) if all(scale in table.scales(place) for place, _ in places)]


def contrast_looks(table: Declaration, row: str, one: Contrast, scale: str) -> list[tuple[int, float]]:
    """(seeds, level) of each look at a contrast: those of the side that has more of them, as far as the other has seeds."""
    sides = [table.cell(*place, scale).seeds for place in places_of(table, row, one)]
    most, found = min(side.looks[-1] for side in sides), dict[int, float]()
    for seeds, level in max(sides, key=lambda side: len(side.looks)).judged(table.grid.level):
        found.setdefault(min(seeds, most), level)
    return list(found.items())


def unreachable_contrasts(table: Declaration) -> Mapping[str, str]:
    """By contrast, why it can never be settled as it is planned: an exact test of so few seeds has no p small enough."""
    found = {}
    for (row, name), one in table.contrasts.items():
        scale = shared_scales(table, row, places_of(table, row, one))[-1]
        count = sum(len(table.grid.rows[other].contrasts) for other in table.family(row))
        most, level = contrast_looks(table, row, one, scale)[-1]
        ways = 2**most if isinstance(one.b, float) else math.comb(2 * most, most)
        if one.expect != "same" and 2 / ways > level / count:
            asks = f"{count} contrasts of its family ask for {level / count:.2g}"
            found[f"{row}.{name}"] = f"{most} seeds reach p = {2 / ways:.2g} at best, and {asks}"
    return found


@functools.cache
def cell_settings(words: tuple[str, ...]) -> Settings:
    """The checked settings that a cell's words ask for, seed 0."""
    (found,) = compose_jobs([*words, "tracker=none"], sweep=False, declared=True)
    return found
