"""Forecasting: the next value of a series of numbers, from all that came before, on data of your own.

    inputs   0.3 0.5 0.4 0.1     (a number a step, or one a column; less the training mean, over the training deviation)
    targets  0.5 0.4 0.1 -0.2    (each step is scored)

    rnnbench train task=forecasting task.file=temperatures.csv task.columns=degrees model=gru

`file` is a CSV, TSV, JSON or parquet file with a row a step, in the order of time, and `columns` are those that are read and
forecast: a list, `"task.columns=[degrees,'wind, m/s']"`, where a name that has a comma or a space stands in quotes; or one text
with commas between the names. Several files are joined in the order of the numbers in their names: month2 before month10. The
series is cut in the order it stands: train, then `held_out` of its steps for validation, then as many for test; or `train`,
`validation` and `test` name files. Training draws windows of `window` steps. Validation and test are read in windows, too, each
from the middle of the one before. Only what the one before did not reach is scored, so that each forecast has half a window of
steps before it, but for those of the first. Every step but the first is scored once.

`mse` is in squared training deviations, `mae` in the units of the data, both as means over columns; `skill` is
the share of the mean squared error of persistence that a forecast does away with.

Refused, in one line: a value that is missing or no number, a series that is shorter than its windows, slices whose training
rows stand in the test. Said in one line: rows that two splits have in common, files that are not read.

Floor: mse of persistence, which forecasts the value of the step before, on the test split.

Best: none known: it is your data.

Source: your data; its licence is for you to keep.

Data: files of yours; any set of the hub with columns of numbers.

Licence: that of your data.

Needs: nothing.

Group: your own data.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from typing import Annotated, TypeVar

import numpy
import torch
from torch import Tensor

from rnnbench.data.series import deviations, numbers
from rnnbench.data.sets import Loaded, load_set
from rnnbench.data.table_files import Reading
from rnnbench.data.tables import DataError
from rnnbench.options import AtLeastZero, Needs, Range, Where, amount, shortened

from .shared.batch import Dataset, generator
from .shared.found import named_splits, odd_splits, one_place, split_words
from .shared.rows import completed_in_order
from .task import REGRESSION, SPLITS, Batch, Facts, Reals, Split, Sums, Task, Totals

Result = TypeVar("Result")


class Forecasting(Task):
    version = 1
    structure = "N->N"
    causal = True
    headline = "mse"
    direction = "min"
    unit = "squared training deviations"

    scoring = REGRESSION
    dataset: Forecasts

    def __init__(
        self,
        hub: Annotated[str | None, Where()] = None,  # id on the Hugging Face hub, or a folder
        file: Annotated[str | None, Where()] = None,  # a CSV, TSV, JSON or parquet file, several by a pattern, or a folder
        config: Annotated[str | None, Where(path=False), Needs("hub")] = None,  # of the hub's data set, where it has several
        revision: Annotated[str | None, Needs("hub")] = None,  # of the hub's data set
        train: Annotated[str | None, Where()] = None,  # the split of the set that trains, or a file
        validation: Annotated[str | None, Where()] = None,  # the split that selects, or a file
        test: Annotated[str | None, Where()] = None,  # the split that is reported, or a file
        separator: Annotated[
            str, Where(path=False), Needs("file", "train")
        ] = "auto",  # of a text file: comma, tab, semicolon, bar, space or a character; auto: a tab in .tsv, else a comma
        header: Annotated[
            bool, Where(path=False), Needs("file", "train")
        ] = True,  # of a text file: whether its first line names the columns; else they are called 0, 1, ...
        encoding: Annotated[str, Where(path=False), Needs("file", "train")] = "utf-8",  # of a text file
        columns: Annotated[
            str | list[str], Where(path=False)
        ] = "value",  # the columns that are read and forecast: [degrees,'wind, m/s'], or one text between commas
        window: Annotated[int, Range(4)] = 100,  # steps that are fed at once; gradients reach no further
        held_out: Annotated[
            float, Range(0, 0.5, open_low=True, open_high=True)
        ] = 0.1,  # share of the series for validation, same for test, where no such split is named
        solved_below: AtLeastZero = 0.0,  # mse that counts as solved; 0 = never
    ):
        named = named_splits(train, validation, test)
        reading = Reading(separator, header, encoding)
        self.place = one_place("forecasting", hub, file, config, revision, named, reading, in_time=True)
        self.columns = columns if isinstance(columns, list) else [name.strip() for name in columns.split(",")]
        if not self.columns or not all(self.columns) or len(set(self.columns)) < len(self.columns):
            raise DataError(f"task.columns={columns}: expected names of columns, each once: [degrees,'wind, m/s']")
        self.window, self.held_out, self.solved_below = window, held_out, solved_below

        self.whole = columns if isinstance(columns, str) and "," in columns else None  # which may be one name

    def look(self) -> None:
        self._with_columns(self.place.check)

    def _with_columns(self, act: Callable[[list[str]], Result]) -> Result:
        """act(columns); where they are none, and the text as it is names one column, of that one: quotes go with the shell."""
        try:
            return act(self.columns)
        except DataError:
            if self.whole:
                with contextlib.suppress(DataError):
                    result = act([self.whole])
                    self.columns = [self.whole]
                    return result
            raise

    def prepare(self) -> None:
        if hasattr(self, "inputs"):
            return
        found = self._with_columns(lambda columns: load_set(self.place, columns, text=False))
        published = {split: self._values(found, split) for split in SPLITS if split in found.parts}
        content = [f"{split} {values.shape} ".encode() + values.tobytes() for split, values in published.items()]
        self.sha256 = hashlib.sha256(b"".join(content)).hexdigest()
        parts = completed_in_order(published, int(len(published["train"]) * self.held_out))
        for split, values in parts.items():
            if len(values) <= self.window:
                raise DataError(
                    f"{self.place.name}: {split} has {amount(len(values), 'step')}, and task.window={self.window} needs "
                    "more; take a shorter window, or a longer series"
                )
        self.dataset = Forecasts(parts, self.window)
        self.inputs = self.targets = Reals(len(self.columns))
        rows = {split: len(values) for split, values in parts.items()}
        self.found = {**found.facts(), "rows": rows, "columns": self.columns}
        cut = ", ".join(split_words(split, self.found["files"], count) for split, count in rows.items())
        names = ", ".join(repr(name) if "," in name else name for name in self.columns)
        said = [f"{amount(sum(rows.values()), 'step')}: {cut}; columns: {shortened(names)}"]
        for split, files in self.found["files"].items():
            said += (
                [f"{split} is {amount(len(files), 'file')} in this order: {shortened(', '.join(files), 200)}"]
                if files[1:]
                else []
            )
        self.notes = [f"{self.place.name}: {line}" for line in (*said, *odd_splits(found))]

    def _values(self, found: Loaded, split: Split) -> numpy.ndarray:
        """(steps, columns) float64."""
        columns = found.tables[split].columns
        return numpy.stack([numbers(column.to_pylist(), lambda row: found.where(split, row)) for column in columns], 1)

    def score(self, outputs: Tensor, batch: Batch) -> Sums:
        errors = (outputs.double() - batch.targets).abs() @ torch.from_numpy(self.dataset.deviation).to(outputs.device)
        off = torch.where(batch.scored, errors, 0.0).sum()
        still = (batch.inputs[..., : self.targets.size].double() - batch.targets).square().sum(-1)
        return super().score(outputs, batch) | {
            "absolute_error": off,
            "persistence": torch.where(batch.scored, still, 0.0).sum(),
        }

    def finish(self, sums: Totals) -> dict[str, float]:
        answers = sums["answers"] * self.targets.size
        still = sums["persistence"]
        return {
            "mse": sums["squared_error"] / answers,
            "mae": sums["absolute_error"] / answers,
            "skill": 1 - sums["squared_error"] / still if still else 0.0,
        }

    def about(self) -> Facts:
        return {"sha256": self.sha256, "licence": "that of your data", "found": self.found}


class Forecasts(Dataset):
    """Windows of a series, and the same one step later as what is asked for. The guess is that nothing changes."""

    def __init__(self, parts: dict[Split, numpy.ndarray], window: int):
        """`parts` (steps, columns) of each split, in their own units."""
        train = parts["train"]
        self.deviation = deviations(train)
        self._window = window
        self._values = {
            split: ((values - train.mean(0)) / self.deviation).astype(numpy.float32) for split, values in parts.items()
        }

    @property
    def floor(self) -> float:
        values = self._values["test"].astype(numpy.float64)
        return float(numpy.square(numpy.diff(values, axis=0)).mean())

    def floor_guess(self, batch: Batch) -> Tensor:
        return batch.inputs

    def _starts(self, split: Split) -> numpy.ndarray:
        """Where each window of an evaluation begins, so that their second halves cover the split."""
        half = self._window - self._window // 2
        steps = len(self._values[split]) - 1
        return numpy.minimum(numpy.arange(0, max(1, steps - self._window // 2), half), steps - self._window)

    def batches(self, split: Split, batch_size: int) -> int:
        if split == "train":
            return max(1, len(self._values["train"]) // (self._window * batch_size))
        return -(-len(self._starts(split)) // batch_size)

    def batch(self, split: Split, index: int, batch_size: int, seed: int) -> Batch:
        values, steps = self._values[split], numpy.arange(self._window)
        scored = numpy.ones((batch_size, self._window), bool)
        if split == "train":
            starts = generator(0, index, seed).integers(0, len(values) - self._window, batch_size)
        else:
            starts = self._starts(split)[index * batch_size : (index + 1) * batch_size]
            before = self._starts(split) + self._window  # the first step that the window before does not score
            first = numpy.r_[0, before[:-1]][index * batch_size : (index + 1) * batch_size]
            scored = starts[:, None] + steps >= first[:, None]
        places = starts[:, None] + steps
        rows = len(starts)
        parts = (values[places], values[places + 1], scored, numpy.full(rows, self._window), numpy.ones(rows, bool))
        return Batch(*map(torch.from_numpy, parts))
