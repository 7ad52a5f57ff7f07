"""Packages of others as tests install them: files and entry points in a folder on the path."""

from __future__ import annotations

import importlib
import sys
import textwrap
from pathlib import Path

from rnnbench import tasks
from rnnbench.config import schema
from rnnbench.models import registry
from rnnbench.plugins import classes, references
from rnnbench.tracking import make

CELL = '''"""A leaky sum: h_t = rate * h_{t-1} + W x_t.

Source: a test.
"""
import torch
from rnnbench.models.mechanism import Mechanism


class Leaky(Mechanism):
    def __init__(self, input_size: int, hidden_size: int = 8, rate: float = 0.5):
        super().__init__()
        self.input_size, self.output_size, self.rate = input_size, hidden_size, rate
        self.W = torch.nn.Parameter(torch.randn(hidden_size, input_size))

    def initial_state(self, batch_size):
        return self.W.new_zeros(batch_size, self.output_size)

    def step(self, x, state, seen=None):
        h = self.rate * state + x @ self.W.t()
        return h, h, {}
'''
TASK = '''"""Ones: how many ones there were.

Floor: the variance of a sum of coins, length / 4.
Best: 0.
Source: a test.
"""
import torch
from rnnbench.tasks.task import REGRESSION, Batch, Reals, Task


class Ones(Task):
    structure, causal, headline, direction = "N->1", False, "mse", "min"
    inputs, targets, scoring = Reals(1), Reals(1), REGRESSION

    def __init__(self, length: int = 8, sequences: int = 1000, solved_below: float = 0.01):
        self.length, self.sequences, self.solved_below = length, sequences, solved_below

    @property
    def floor(self):
        return self.length / 4

    def floor_guess(self, batch):
        return torch.full_like(batch.targets, self.length / 2)

    def draw(self, random, rows):
        ones = torch.from_numpy(random.integers(0, 2, (rows, self.length, 1))).float()
        true = torch.ones(rows, dtype=torch.bool)
        return Batch(ones, ones.sum(1, keepdim=True), true[:, None], torch.full((rows,), self.length), true)
'''


def forget() -> None:
    """Has entry points and files looked at anew, as another process would."""
    for module in (tasks, registry, schema, classes, references, make):
        for value in list(vars(module).values()):
            if hasattr(value, "cache_clear"):
                value.cache_clear()
    for name in [name for name in sys.modules if name.startswith("rnnbench_file_")]:
        del sys.modules[name]
    references.TRUSTED.clear()
    importlib.invalidate_caches()


def install(folder: Path, entries: dict[str, dict[str, str]], files: dict[str, str], package: str = "their-package") -> None:
    """Writes a package's files and its entry points, by group and name, below `folder`."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    about = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8")
    groups = (f"[rnnbench.{group}]\n" + "".join(f"{k} = {v}\n" for k, v in named.items()) for group, named in entries.items())
    (about / "entry_points.txt").write_text("".join(groups), encoding="utf-8")
    forget()


class Site:
    """A folder on the path, of which nothing is left when the test ends."""

    def __init__(self, folder: Path):
        self.folder = folder

    def add(self, entries: dict[str, dict[str, str]], files: dict[str, str], package: str = "their-package") -> None:
        install(self.folder, entries, files, package)
