"""What starting up may import. Times are measured by `rnnbench benchmark startup`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rnnbench.groups import TrainSettings
from rnnbench.training.optimizer import make_optimizer

TINY = "task=adding model=gru task.length=6 task.sequences=20 train.batch_size=4 model.hidden_size=4 train.steps=1 tracker=none"
UNUSED = {
    "torch._dynamo",
    "torch._inductor",
    "sympy",
    "scipy.signal",
    "scipy.stats",
    "wandb",
    "datasets",
    "matplotlib",
    "pandas",
}
TRAIN = """
import json, sys
from rnnbench.cli.main import main
assert main(sys.argv[1:]) == 0
print(json.dumps(list(sys.modules)))
"""
REAL = """
import sys
from rnnbench.training.light_lightning import import_lightning
import_lightning()
import lightning_fabric.wrappers as wrappers, torch
from pytorch_lightning.utilities.compile import to_uncompiled
made = torch.nn.Linear(1, 1)
assert not isinstance(made, wrappers.OptimizedModule) and "torch._dynamo" not in sys.modules
import scipy.signal
from torch._dynamo import OptimizedModule
from torch._dynamo.eval_frame import OptimizedModule as same
assert OptimizedModule is same and scipy.signal.lfilter([1], [1], [2.0]) == [2.0]
compiled = torch.compile(made, backend="eager")
assert isinstance(compiled, wrappers.OptimizedModule) and wrappers._unwrap_compiled(compiled)[0] is made
assert compiled(torch.ones(1)).equal(made(torch.ones(1)))
"""


def fresh(code: str, *words: str, cwd: Path) -> str:
    """What a new process prints that runs `code`."""
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_imports_nothing_that_it_never_uses(tmp_path: Path) -> None:
    loaded = set(json.loads(fresh(TRAIN, "train", *TINY.split(), cwd=tmp_path).splitlines()[-1]))
    assert "pytorch_lightning" in loaded
    assert not loaded & UNUSED


def test_whoever_imports_the_real_packages_after_lightning_gets_them(tmp_path: Path) -> None:
    """The compiler as well as Lightning's questions about what it made."""
    fresh(REAL, cwd=tmp_path)


def test_the_stand_ins_have_what_lightning_asks_for(tmp_path: Path) -> None:
    """Else its import falls back to the plain one, which is right and slow."""
    code = (
        "import sys\nfrom rnnbench.training import light_lightning as it\nwith it._stand_ins():\n    import pytorch_lightning\n"
    )
    code += "assert not {'torch._dynamo', 'sympy', 'scipy.signal'} & set(sys.modules)"
    fresh(code, cwd=tmp_path)


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_an_optimizer_is_pytorchs_own(name: str) -> None:
    """Bit for bit, and its state goes into PyTorch's class and back."""
    options = TrainSettings(optimizer=name, weight_decay=0.1)  # type: ignore[arg-type]
    ours, theirs = (torch.nn.Parameter(torch.linspace(-1, 1, 7)) for _ in range(2))
    optimizer = make_optimizer([ours], options)
    base = type(optimizer).__mro__[1]
    same = base([theirs], **{key: value for key, value in optimizer.defaults.items() if key != "decoupled_weight_decay"})
    for _ in range(2):
        for parameter, one in ((ours, optimizer), (theirs, same)):
            one.zero_grad()
            (parameter**3).sum().backward()
            one.step()
        assert ours.equal(theirs)
        assert ours.grad is not None and not ours.requires_grad_().grad.requires_grad
        state = same.state_dict()
        same.load_state_dict(optimizer.state_dict())
        optimizer.load_state_dict(state)
    assert (base.__module__, isinstance(optimizer, base)) == (f"torch.optim.{name}", True)
