"""Fair, tracked, repeatable comparisons of recurrent networks on sequence tasks.

    train("task=adding", "model=gru", seed=0)       one run; answers with the trained network, its task and record
    sweep("task=adding", model=["gru", "lstm"])     many; answers with a table of the runs
    runs("runs")                                    what was run, as a table: a row a run
    load("runs/adding/gru/s0-1a2b3c4d")             a trained run
    MODELS, TASKS                                   the classes by name
    Mechanism, Stack                                what a cell is derived from; layers and directions around one
    Task, Batch, Tokens, Reals, Bits                what a task is derived from; a batch, and kinds of inputs and targets

What is not listed here is private, but for `rnnbench.testing`, `rnnbench.options`, `rnnbench.models.mechanism` and
`rnnbench.tasks.task`, which cells and tasks of your own import. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .version import __version__ as __version__

if TYPE_CHECKING:
    import pyarrow

    from rnnbench.tasks import TASKS
    from rnnbench.tasks.task import Batch, Bits, Reals, Task, Tokens

    from .models.mechanism import Mechanism
    from .models.registry import MODELS
    from .models.stack import Stack
    from .run.load import Trained

__all__ = [
    "MODELS",
    "TASKS",
    "Batch",
    "Bits",
    "Mechanism",
    "Reals",
    "Stack",
    "Task",
    "Tokens",
    "__version__",
    "load",
    "runs",
    "sweep",
    "train",
]
HOMES = {
    "MODELS": "models.registry",
    "TASKS": "tasks",
    **dict.fromkeys(("Batch", "Bits", "Reals", "Task", "Tokens"), "tasks.task"),
    "Mechanism": "models.mechanism",
    "Stack": "models.stack",
}


def load(run: str | Path) -> Trained:
    """The trained network of a run folder, or of the one finished run below it, with its task, record and metrics.

    FileNotFoundError where there is none, ValueError where there are several.
    """
    from .run.load import load_run  # torch is imported only now

    return load_run(run)


def train(*words: str, **options: Any) -> Trained:
    """Trains a run, or answers from its record, and loads it: `train("task=adding", "model=gru", seed=0)`.

    `words` are those of `rnnbench train`; `options` are the same with Python's values, `**{"train.steps": 500}` where a name
    has a dot. The run has a process of its own, whose lines are printed as they come. An interrupt has it save a checkpoint,
    and the same call continues from there.

    Raises ValueError (`rnnbench.options.BadOption`) where the command would refuse, RuntimeError (`rnnbench.options.Failed`)
    where the run failed or diverged, each with the line that the command says.
    """
    from .interface.call import train_in_process  # imports the configuration

    return train_in_process(words, options)


def sweep(*words: str, **options: Any) -> pyarrow.Table:
    """Runs a sweep, and answers with a table of its runs: `sweep("task=adding", model=["gru", "lstm"], seed=range(3))`.

    `words` and `options` as in `train`, where `a,b` in a word, and a list in an option, are several values. What is recorded is
    not run again. Raises as `train` does; of runs that failed the others are recorded, and `runs` shows all.
    """
    from .interface.call import sweep_in_process  # imports the configuration

    return sweep_in_process(words, options)


def runs(paths: str | Path | Iterable[str | Path] = "runs") -> pyarrow.Table:
    """The runs in a folder, or in several, as a table of pyarrow's (`.to_pandas()` makes a data frame of it), a row a run.

    Columns: `path`, `status`, `task`, `model`, `seed`, ...; `score`, the headline on the test split; every score as `test.mse`,
    `validation.mse`; speeds as `speed.steps_per_second`; every option as it is set, `model.hidden_size`. Null: a run has none.

    FileNotFoundError where there is no such folder.
    """
    from .interface.run_table import runs_table  # imports pyarrow

    return runs_table([Path(paths)] if isinstance(paths, str | Path) else list(map(Path, paths)))


def __getattr__(name: str) -> Any:
    """Classes and registries, imported when they are asked for, since they import torch."""
    if name in HOMES:
        return getattr(import_module(f".{HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
