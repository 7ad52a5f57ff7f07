"""What is asked of finished runs: a picture of their gradients through time, and what their states still hold of the past.

Here records, networks, probes and pictures meet. Neither question looks at the test split.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..analysis.grouping import group_runs
from ..analysis.heatmaps import COLOURS, MeasuredGradients, gradient_picture, logged_gradients, save_picture
from ..console import say
from ..networks.probes import gradient_by_lag, recall, state_gradients
from ..options import BadOption, amount, output_error
from ..run.load import Trained, initial_network, load_run
from ..run.process_settings import configure_process
from ..store.find import FoundRun
from .compare import chosen_runs, print_complaints
from .sample import named_run

ROWS = 50  # validation rows whose loss is differentiated
RUNS = 12  # in one picture
LAGS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500)  # steps back, as far as sequences go
READ_BACK = 0.5  # share of the input's variance that counts as remembered


def draw_gradients(stored: Sequence[FoundRun], output: Path, step: int | None = None) -> list[str]:
    """Draws ‖∂L/∂state_t‖ of each run, for every layer, direction and state.

    Curves: at initialisation (the weights are drawn again from the run's seed) and with the weights that validation chose, in
    evaluation mode, of the first 50 validation rows; L is the loss as trained on, or that of `step` alone. Heat maps: the
    training batches that were logged, and the loss as trained on. All scales are logarithmic and shared. A run that cannot be
    shown is left out, and is a line of what is returned. BadOption where none can be shown, or the picture not be written.
    """
    finished = [one for one in stored if one.record and one.record["status"] == "finished"]
    if not 0 < len(finished) <= RUNS:
        raise BadOption(f"{len(finished) or 'no'} finished runs there; a picture shows 1 to {RUNS}")
    configure_process()
    titles = run_titles(finished)
    shown: dict[str, MeasuredGradients] = {}
    left_out: list[str] = []
    for one in finished:
        try:
            trained = load_finished(one.path)
        except BadOption as error:
            left_out.append(str(error))
            continue
        name = titles[one.path]
        batch = trained.task.batch("validation", 0, ROWS, 0)
        steps = 1 if trained.task.structure == "N->1" else batch.scored.shape[1]
        if step is not None and not 1 <= step <= steps:
            raise BadOption(
                f"--step {step}: the loss of {name} has {amount(steps, 'step')} per sequence; allowed: 1 to {steps}"
            )
        moments = zip(COLOURS, (initial_network(trained), trained.network), strict=True)
        curves = {moment: state_gradients(network, trained.task, batch, step) for moment, network in moments}
        if not all(curves.values()):
            left_out.append(f"{one.path}: {name}: no state is carried from step to step, so no gradient through it")
            continue
        shown[name] = curves, logged_gradients(trained.rows)
    if not shown:
        raise BadOption(left_out[0])
    try:
        save_picture(gradient_picture(shown, f"the loss of step {step} alone" if step else "the loss as trained on"), output)
    except OSError as error:
        raise output_error(f"--output {output}", error) from None
    return left_out


def run_titles(runs: Sequence[FoundRun]) -> dict[Path, str]:
    """`lstm lr=.01 on adding, seed 0` of each run by its folder: with the options in which they differ, or with its id."""
    names = {run.path: f"{run.config['model']['name']} on {run.config['task']['name']}" for run in runs}
    for block in group_runs(runs, [])[0]:
        names |= {run.path: f"{entry.label} on {block.label}" for entry in block.entries for run in entry.finished}
    titles = {run.path: f"{names[run.path]}, seed {run.config['seed']}" for run in runs}
    counts = Counter(titles.values())
    return {path: title if counts[title] == 1 else f"{title}, {path.name[-8:]}" for path, title in titles.items()}


def probe_lines(path: Path, lags: Sequence[int] | None = None, step: int | None = None) -> Iterator[str]:
    """Lines of a table by lag: how well a linear map of h_t gives back x_{t-lag}, and ‖∂L/∂h_{s-lag}‖ / ‖∂L/∂h_s‖ of one
    step's loss; of the trained network beside the one before training. `lags` None takes 0, 1, 2, 5, 10, ... that fit.

    BadOption where the run or the lags cannot be had.
    """
    configure_process()
    trained = load_finished(path)
    task, name = trained.task, trained.record["task"]["name"]
    if task.source is not None:
        raise BadOption(f"{path}: {name} reads a source before it writes; probes take tasks that have none")
    batch = task.batch("validation", 0, ROWS, 0)
    last = int(batch.lengths.max()) if step is None else step
    lags = lags or [lag for lag in LAGS if lag < last]
    networks = (trained.network, initial_network(trained))
    try:
        flows = [gradient_by_lag(network, task, batch, lags, step) for network in networks]
        recalled = [recall(network, task, lags) for network in networks]
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
    configure_process()
    trained = load_finished(path)
    if trained.task.source is not None:
        raise BadOption(f"{path}: its task reads a source before it writes; probes take tasks that have none")
    last = int(trained.task.batch("validation", 0, ROWS, 0).lengths.max())
    longest = -1
    for found in recall(trained.network, trained.task, [lag for lag in LAGS if lag < last]):
        if found.r2 < READ_BACK:
            break
        longest = found.lag
    return longest


def load_finished(path: Path) -> Trained:
    """The trained run; BadOption where there is none, or it is no longer what its record says."""
    try:
        return load_run(path)
    except (ValueError, OSError) as error:
        raise BadOption(str(error)) from None


def gradients_command(options: argparse.Namespace) -> int:
    if options.output.suffix not in (".png", ".svg", ".html"):
        raise BadOption(
            f"--output {options.output}: allowed: .png, .svg or .html at the end; `rnnbench figure gradients` writes .pdf"
        )
    runs, complaints = chosen_runs(options)
    print_complaints(complaints)

    print_complaints(draw_gradients(runs, options.output, options.step))
    say(str(options.output))
    return 0


def probe_command(options: argparse.Namespace) -> int:
    words = options.lags.split(",") if options.lags else []
    if options.step is not None and options.step < 1:
        raise BadOption(f"--step {options.step}: steps are counted from 1")
    if not all(word.isascii() and word.isdigit() for word in words) or len(set(words)) < len(words):
        raise BadOption(f"--lags {options.lags}: steps back, such as 1,2,5,10")
    path = named_run(options.run)

    for line in probe_lines(path, sorted(map(int, words)), options.step):
        say(line)
    return 0
