"""What starting up may import. Times are measured by `rnnbench benchmark startup`."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from rnnbench.config import compose
from rnnbench.config.checks import resolve
from rnnbench.config.compose import compose_jobs
from rnnbench.groups import TrainSettings
from rnnbench.models.registry import MODELS
from rnnbench.options import BadOption
from rnnbench.run import plan, recorded
from rnnbench.run.imports import quick_imports
from rnnbench.run.plan import plan_run, survey_runs
from rnnbench.run.recorded import Identities, recorded_run
from rnnbench.training.optimizer import make_optimizer
from tests.support.records import RECORD
from tests.support.zoo import OPTIONS

TINY = "task=adding model=gru task.length=6 task.sequences=20 train.batch_size=4 model.hidden_size=4 train.steps=1 tracker=none"
UNUSED = {
    "torch._dynamo",
    "torch._inductor",
    "sympy",
    "scipy.linalg",
    "scipy.signal",
    "scipy.stats",
    "numpy.f2py",
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
PRODUCT = """
import sys, numba, numpy
from rnnbench.kernels.loading import load_kernels
from rnnbench.kernels.recurrence import steps_are_compiled
load_kernels()
assert steps_are_compiled() and not {"scipy.linalg", "scipy.linalg.cython_blas"} & set(sys.modules)
two = numpy.array([[1.0, 2.0], [3.0, 4.0]])
assert numpy.array_equal(numba.njit(lambda a: a @ a)(two), two @ two) and "scipy.linalg.cython_blas" in sys.modules
"""


SIZES = """
import json, sys
from rnnbench.models.registry import MODELS
from rnnbench.networks.shapes import without_numbers
shapes = []
for name, options in json.loads(sys.argv[1]):
    with without_numbers():
        made = MODELS[name](3, hidden_size=4, **options)
    assert all(part.is_meta for part in made.parameters())
    shapes.append({name: list(part.shape) for name, part in made.named_parameters()})
assert not {"torch._dynamo", "sympy"} & set(sys.modules)
print(json.dumps(shapes))
"""
LEFT_ALONE = """
import atexit, gc, sys
new = []  # objects that were never looked through, at each time that some are
def note(phase, about):
    if phase == "start":
        new.append(len(gc.get_objects(generation=0)))
def count():
    print(max(new), gc.get_freeze_count())
atexit.register(count)  # before all others, so that it is called after them
gc.callbacks.append(note)
from rnnbench.cli.main import main
assert main(sys.argv[1:]) == 0
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


def test_what_a_run_imports_is_never_looked_through_for_cycles(tmp_path: Path) -> None:
    """Neither when the imports are done nor when the process ends, which took a quarter of a short run's time."""
    most, left = map(int, fresh(LEFT_ALONE, "train", *TINY.split(), cwd=tmp_path).splitlines()[-1].split())
    assert most < 50_000 and left > 100_000


def test_whoever_imports_the_real_packages_after_lightning_gets_them(tmp_path: Path) -> None:
    """The compiler as well as Lightning's questions about what it made."""
    fresh(REAL, cwd=tmp_path)


def test_sizes_are_counted_without_numbers_and_without_the_compiler(tmp_path: Path) -> None:
    """Of every model, in every form that a law is held over: the shapes are those of the network with numbers."""
    forms = [(name, options) for name in MODELS for options in OPTIONS.get(name, [{}])]
    found = json.loads(fresh(SIZES, json.dumps(forms), cwd=tmp_path))
    for (name, options), shapes in zip(forms, found, strict=True):
        made = MODELS[name](3, hidden_size=4, **options)
        assert shapes == {key: list(part.shape) for key, part in made.named_parameters()}, (name, options)


def test_whoever_has_numba_multiply_matrices_gets_scipys_product(tmp_path: Path) -> None:
    """In the process in which our own steps were made without it."""
    pytest.importorskip("numba")
    fresh(PRODUCT, cwd=tmp_path)


def test_where_nothing_is_imported_nothing_is_frozen() -> None:
    """What earlier runs of a process left can be collected."""
    before = gc.get_freeze_count()
    with quick_imports():
        pass
    assert gc.get_freeze_count() == before


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


HEAVY = {"torch", "hydra", "pytorch_lightning", "numba", "scipy"}


def test_a_recorded_run_answers_without_torch(tmp_path: Path) -> None:
    """A single run, the run of a folder, and a sweep all of whose runs are recorded; to the same words as with torch."""
    fresh(TRAIN, "train", *TINY.split(), cwd=tmp_path)
    (folder,) = tmp_path.glob("runs/adding/gru/s0-*")
    for words, heavy in (
        (["train", *TINY.split()], HEAVY),
        (["train", "--again", str(folder)], HEAVY - {"hydra"}),
        (["train", "-m", *TINY.split(), "seed=0"], HEAVY - {"hydra"}),
    ):
        before = (folder / "record.json").read_bytes()
        *said, loaded = fresh(TRAIN, *words, cwd=tmp_path).splitlines()
        assert not {name.split(".")[0] for name in json.loads(loaded)} & heavy
        assert "recorded before" in said[0]
        assert (folder / "record.json").read_bytes() == before


@pytest.mark.parametrize("spoil", ["another id", "damaged", "none"])
def test_what_is_no_record_of_these_settings_is_no_answer(spoil: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (settings,) = compose_jobs(TINY.split(), sweep=False)
    run = plan_run(settings)
    run.folder.path.mkdir(parents=True)
    if spoil != "none":
        body = {key: value for key, value in RECORD.items() if key != "checksum"}
        run.folder.finish(body)  # type: ignore[arg-type]
        assert run.folder.record() is not None
    if spoil == "damaged":
        path = run.folder.path / "record.json"
        path.write_bytes(path.read_bytes().replace(b"}", b"]", 1))
    assert recorded_run(settings, Identities()) is None


@pytest.mark.parametrize(
    "words", [["budget.params=5k"], ["trainer.devices=2"], ["trainer.accelerator=gpu"]], ids=lambda words: str(words[0])
)
def test_what_takes_more_than_settings_is_left_to_torch(words: list[str]) -> None:
    (settings,) = compose_jobs([*TINY.split(), *words], sweep=False)
    assert recorded_run(settings, Identities()) is None


def test_seeds_of_a_setting_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Composed, checked, made as a network; and every job is the run that it is alone."""
    calls: Counter[str] = Counter()

    def count(module: ModuleType, name: str) -> None:
        real = getattr(module, name)

        def counting(*given: object) -> Any:
            calls[name] += 1
            return real(*given)

        monkeypatch.setattr(module, name, counting)

    for module, name in ((compose, "compose_plainly"), (plan, "check_network"), (plan, "make_task"), (recorded, "with_effect")):
        count(module, name)
    words = [*TINY.split(), "train.learning_rate=0.1,0.01", "seed=range(7)"]
    jobs = compose_jobs(words, sweep=True)
    surveys = survey_runs(jobs)
    assert calls == {"compose_plainly": 2, "check_network": 1, "make_task": 1, "with_effect": 2}
    alone = [plan_run(resolve(job.plain())) for job in jobs]
    assert [(survey.id, survey.setting, survey.folder) for survey in surveys] == [
        (run.id, run.setting, str(run.folder.path)) for run in alone
    ]
    assert len({survey.id for survey in surveys}) == 14


@pytest.mark.parametrize("seed", ["-1", "1.5", "word", str(2**31), "null"])
def test_a_bad_seed_is_refused_wherever_it_stands_in_a_sweep(seed: str) -> None:
    said = []
    for seeds in (seed, f"0,{seed}"):
        with pytest.raises(BadOption) as refused:
            compose_jobs([*TINY.split(), f"seed={seeds}"], sweep=True)
        said.append(str(refused.value))
    assert said[0] == said[1]
