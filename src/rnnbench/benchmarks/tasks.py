"""One small run of every task, beside its floor and a simple baseline."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Sequence

from ..baselines.fit import run_baselines
from ..config.compose import compose_jobs
from ..config.schema import load_yaml
from ..reproduction.declaration import SWEEPS
from ..run.execute import execute
from ..run.failures import RunFailed
from ..run.plan import make_task
from ..store.record import headline_score


def main(quick: bool = False, words: Sequence[str] = ()) -> None:
    """Runs what sweeps/tasks/runs.yaml lists (of the tasks that `words` name, if they do), and prints a row for each run.

    Runs are kept in runs/, so that a second call answers from their records. `quick` leaves out baselines that are fitted.
    """
    print("| task | model | headline | floor | simple baseline | test score | seconds |\n|---|---|---|---|---|---|---|")
    for line in small_runs():
        options = line.split()
        name = options[0].removeprefix("task=")
        if words and name not in words:
            continue
        (settings,) = compose_jobs([*options, "tracker=none", "train.instruments=false"], sweep=False)
        label = " ".join([name, *(word.removeprefix("task.") for word in options if word.startswith("task."))])
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                record = execute(settings)
        except (RunFailed, ValueError, OSError) as error:  # data that are not at hand, an extra that is not installed
            print(f"| {label} | not run: {' '.join(str(error).split())} | | | | | |", flush=True)
            continue
        if record is None:
            continue
        about, baseline = record["task"], "the floor"
        if "word_by_word_bleu" in about["about"]:
            baseline = f"{about['about']['word_by_word_bleu']:.4g} (word by word)"
        elif about["fingerprint"] and not quick:
            task = make_task(settings)
            task.prepare()
            with contextlib.suppress(ValueError):
                found = [one for one in run_baselines(task) if not one.name.startswith("floor")]
                best = (max if about["direction"] == "max" else min)(found, key=lambda one: one.validation)
                baseline = f"{best.test:.4g} ({best.name})"
        numbers = headline_score(record), record["speed"]["seconds"]
        score, seconds = (math.nan if value is None else value for value in numbers)
        model = f"{record['model']['name']} {settings.model.options['hidden_size']}"
        row = (label, model, about["headline"], f"{about['floor']:.4g}", baseline, f"{score:.4g}", f"{seconds:.0f}")
        print(f"| {' | '.join(row)} |", flush=True)


def small_runs() -> list[str]:
    """The command lines of sweeps/tasks/runs.yaml."""
    listed = load_yaml(SWEEPS / "tasks/runs.yaml")
    return [f"{line} {listed['shared']}" for line in listed["generated"]] + listed["real"]
