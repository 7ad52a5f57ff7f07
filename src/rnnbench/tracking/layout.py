"""How a run stands in a mirror: the names of columns there, its settings, its results.

The local log, records and weights keep their names; trackers show them as columns.py says. A mirror keeps the layout with
which it was first made, so that a later version never writes it anew:

    1   version 0.1: everything as the log and the record name it
    2   sections of a few panels first; what is measured by layer and gate in sections that sort last, `z gates` and others
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from .columns import GATES, column_rank, readable, shown_key
from .confusion_picture import confusion_picture
from .pictures import KEY, GradientMap
from .tracker import LATEST, Histogram, MirrorRow, Picture, Run, finite


class Presenter:
    """A run's settings, rows and results in one layout. Rows come in order, from the first on."""

    def __init__(self, run: Run, layout: int = LATEST, histograms: bool = False):
        self.run, self.layout, self._histograms = run, layout, histograms
        model, train = (run.config.get(group) or {} for group in ("model", "train"))
        self._two_forward = bool(model.get("two_forward"))
        self._selects_last = train.get("select") == "last"
        self._chosen: float | None = None
        self._map = GradientMap(train.get("steps") or sys.maxsize, self._two_forward)
        self.latest: dict[str, Any] = {}  # the last value of each column

    def config(self) -> dict[str, Any]:
        """The settings: nested as config.yaml has them; from layout 2 on also what identifies them."""
        config = finite(self.run.config)
        return config if self.layout == 1 else {**config, **finite(self.run.facts), "layout": self.layout}

    def row(self, logged: MirrorRow) -> dict[str, Any]:
        """A row of the log as it is shown."""
        row = finite(logged)
        shown = row if self.layout == 1 else self._shown(row)
        self.latest |= shown
        return shown

    def _shown(self, row: Mapping[str, Any]) -> dict[str, Any]:
        gates = self._gates(row) if self._histograms else {}
        shown: dict[str, Any] = {}
        for name, value in row.items():
            key = shown_key(name, self._two_forward)
            if key is not None and value is not None and not (gates and name.startswith(GATES)):
                shown[key] = value
        if (reached := gradient_horizon(row)) is not None:
            shown["gradient/horizon"] = reached
        if (picture := self._map.add(row)) is not None:
            shown[KEY] = picture
        self._follow(row.get(f"validation/{self.run.headline}"))
        return dict(sorted({**shown, **gates}.items(), key=lambda item: column_rank(item[0])))

    def _follow(self, score: object) -> None:
        """Keeps the headline of the weights that would be tested if training ended here."""
        if isinstance(score, int | float):
            better = self._chosen is None or (score < self._chosen) == (self.run.direction == "min")
            self._chosen = score if better or self._selects_last else self._chosen

    def _gates(self, row: Mapping[str, Any]) -> dict[str, Histogram]:
        found = {}
        for name, low in row.items():
            gate, _, what = name.rpartition("/")
            high = row.get(f"{gate}/above_.9")
            if what == "below_.1" and name.startswith(GATES) and low is not None and high is not None:
                place = readable(gate.removeprefix(GATES), self._two_forward)
                found[f"z gates/{place}"] = Histogram((low, 1 - low - high, high), (0.0, 0.1, 0.9, 1.0))
        return found

    def summary(self, results: Mapping[str, Any]) -> dict[str, Any]:
        """What stands beside a run in a table of runs: its last row, and `results`, a record or as much of one as there is.

        From layout 2 on the headline on validation is that of the weights that are tested: what a sweep there optimises.
        """
        if self.layout == 1:
            found = {key: results[key] for key in ("scores", "steps", "solved_step") if key in results}
            return finite({**self.latest, **found})
        chosen = {} if self._chosen is None else {f"validation/{self.run.headline}": self._chosen}
        pictures = {KEY: self._map.last_picture(), **shown_confusion(results)}
        every = finite({**self.latest, **chosen, **shown_results(results), **pictures})
        return {key: value for key, value in every.items() if value is not None}


def shown_results(results: Mapping[str, Any]) -> dict[str, Any]:
    """Of a record, or as much of one as there is, what ranks and explains runs: a number or word each."""
    found: dict[str, Any] = {f"test/{name}": score for name, score in ((results.get("scores") or {}).get("test") or {}).items()}
    found |= {key: results[key] for key in ("steps", "best_step", "solved", "solved_step") if results.get(key) is not None}
    if task := results.get("task"):
        found |= {"floor": task["floor"], "floor_closed": floor_closed(task, found.get(f"test/{task['headline']}"))}
        found |= {"parameters": results["model"]["parameters"]}
    if seconds := (results.get("speed") or {}).get("seconds"):
        found["minutes"] = seconds / 60
    return {key: value for key, value in found.items() if value is not None}


def shown_confusion(results: Mapping[str, Any]) -> dict[str, Picture]:
    """The confusion matrix beside a record, as `test/confusion` or `validation/confusion`; nothing where there is none."""
    matrix = results.get("confusion")
    if not matrix:
        return {}
    return {f"{matrix['split']}/confusion": confusion_picture(matrix["split"], matrix["classes"], matrix["counts"])}


def floor_closed(task: Mapping[str, Any], score: float | None) -> float | None:
    """The share of the way from the floor to the best there is that `score` has gone: 0 at the floor, below it negative.

    None where there is no score, no floor, or nothing between the floor and the best.
    """
    floor = task["floor"]
    if task["direction"] == "min":
        best = 1.0 if task["headline"] == "perplexity" else 0.0
    else:
        best = 100.0 if task["unit"] == "of 100" else 1.0
    return None if score is None or floor is None or floor == best else (score - floor) / (best - floor)


def gradient_horizon(row: Mapping[str, Any]) -> int | None:
    """How many steps back the gradient reaches by its longest way: the most over layers, directions and states of the steps
    until its norm has fallen to 1 % of that at the last step; the whole sequence where it falls to that nowhere.
    """
    reached = []
    for name, norms in row.items():
        if name.startswith("train/state_gradient/") and norms and norms[-1]:
            fallen = row.get(name.replace("state_gradient", "horizon", 1))
            reached.append(len(norms) if fallen is None else fallen)
    return max(reached, default=None)
