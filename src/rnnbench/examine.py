"""What is asked of finished runs: a picture of their gradients through time, and what their states still hold of the past.

Here records, networks, probes and pictures meet. Neither question looks at the test split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from . import maps, probes, process, run
from .options import BadOption
from .records import Stored

ROWS = 50  # validation rows whose loss is differentiated
RUNS = 12  # in one picture
LAGS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500)  # steps back, as far as sequences go
READ_BACK = 0.5  # share of the input's variance that counts as remembered


def gradients(stored: Sequence[Stored], output: Path, step: int | None = None) -> None:
    """Draws ‖∂L/∂state_t‖ of each run, for every layer, direction and state.

    Curves: at initialisation (the weights are drawn again from the run's seed) and with the weights that validation chose, in
    evaluation mode, of the first 50 validation rows; L is the loss as trained on, or that of `step` alone. Heat maps: the
    training batches that were logged, and the loss as trained on. All scales are logarithmic and shared. BadOption where runs
    cannot be shown, or not be written.
    """
    finished = [one for one in stored if one.record and one.record["status"] == "finished"]
    if not 0 < len(finished) <= RUNS:
        raise BadOption(f"{len(finished) or 'no'} finished runs there; a picture shows 1 to {RUNS}")
    process.settle()
    shown: dict[str, maps.Measured] = {}
    for one in finished:
        trained = loaded(one.path)
        name = f"{one.config['model']['name']} on {one.config['task']['name']}, seed {one.config['seed']}"
        batch = trained.task.batch("validation", 0, ROWS, 0)
        steps = 1 if trained.task.structure == "N->1" else batch.scored.shape[1]
        if step is not None and not 1 <= step <= steps:
            raise BadOption(f"--step {step}: the loss of {name} counts at {steps} steps of a row; allowed: 1 to {steps}")
        moments = zip(maps.COLOURS, (run.initial(trained), trained.network), strict=True)
        curves = {moment: probes.state_gradients(network, trained.task, batch, step) for moment, network in moments}
        if not all(curves.values()):
            raise BadOption(f"{one.path}: {name}: no state that is carried from step to step, so no gradient through it")
        shown[name if name not in shown else f"{name}, {one.path.name[-8:]}"] = curves, maps.logged(trained.rows)
    try:
        maps.save(maps.picture(shown, f"the loss of step {step} alone" if step else "the loss as trained on"), output)
    except OSError as error:
        raise BadOption(f"--output {output}: {error}") from None


def probe(path: Path, lags: Sequence[int] | None = None, step: int | None = None) -> Iterator[str]:
    """Lines of a table by lag: how well a linear map of h_t gives back x_{t-lag}, and ‖∂L/∂h_{s-lag}‖ / ‖∂L/∂h_s‖ of one
    step's loss; of the trained network beside the one before training. `lags` None takes 0, 1, 2, 5, 10, ... that fit.

    BadOption where the run or the lags cannot be had.
    """
    process.settle()
    trained = loaded(path)
    task, name = trained.task, trained.record["task"]["name"]
    if task.source is not None:
        raise BadOption(f"{path}: {name} reads a source before it writes; probes take tasks that have none")
    batch = task.batch("validation", 0, ROWS, 0)
    last = int(batch.lengths.max()) if step is None else step
    lags = lags or [lag for lag in LAGS if lag < last]
    networks = (trained.network, run.initial(trained))
    try:
        flows = [probes.gradient_by_lag(network, task, batch, lags, step) for network in networks]
        recalled = [probes.recall(network, task, lags) for network in networks]
    except ValueError as error:
        raise BadOption(str(error)) from None
    symbols = recalled[0][0].accuracy is not None
    yield f"{trained.record['model']['name']} on {name}, seed {trained.record['seed']}; in brackets: before training"
    head = f"{'lag':>5}  {'R² of the input read from the state':>36}  {f'gradient, loss of step {last} alone':>36}"
    yield head + ("  accuracy  commonest symbol" if symbols else "")
    for new, old, flow, before in zip(*recalled, *flows, strict=True):
        line = f"{new.lag:>5}  {new.r2:>24.3f} ({old.r2:>9.3f})  {flow:>24.2e} ({before:>9.1e})"
        yield line + (f"  {new.accuracy:>8.3f}  {new.commonest:>8.3f}" if symbols else "")


def recall_lag(path: Path) -> int:
    """The longest of LAGS up to which a linear map of the trained state gives back half of the input's variance; -1 for none.

    BadOption where the run cannot be had, or its task reads a source.
    """
    process.settle()
    trained = loaded(path)
    if trained.task.source is not None:
        raise BadOption(f"{path}: its task reads a source before it writes; probes take tasks that have none")
    last = int(trained.task.batch("validation", 0, ROWS, 0).lengths.max())
    longest = -1
    for found in probes.recall(trained.network, trained.task, [lag for lag in LAGS if lag < last]):
        if found.r2 < READ_BACK:
            break
        longest = found.lag
    return longest


def loaded(path: Path) -> run.Trained:
    """The trained run; BadOption where there is none, or it is no longer what its record says."""
    try:
        return run.load(path)
    except (ValueError, OSError) as error:
        raise BadOption(str(error)) from None
