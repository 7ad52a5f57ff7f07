"""`python -m tests.support.gpu FILE`: all that is to be known of one GPU, in at most eight minutes, as one JSON file.

Each part runs in a process of its own, with a limit of time; FILE is written after each. Without a GPU the same code runs on
the CPU, at toy size.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import multiprocessing
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import yaml
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from rnnbench.benchmarks.kernels import SHAPES, Shape
from rnnbench.config.compose import compose_jobs
from rnnbench.config.schema import choice_settings
from rnnbench.launch.gpus import visible_gpus
from rnnbench.models.details import model_stack
from rnnbench.models.mechanism import Mechanism
from rnnbench.run.plan import make_network, make_task
from rnnbench.run.process_settings import configure_process
from rnnbench.run.provenance import code_commit, processor_name
from rnnbench.tasks.task import Batch
from rnnbench.training.optimizer import make_optimizer

ROOT = Path(__file__).parents[2]
LAYERS = {"lstm": nn.LSTM, "peephole_lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN, "min_gru": nn.GRU}  # ours, and PyTorch's
ROUNDS, WARM_UP = 7, 2
JOBS = 4  # that share the GPU
Figures = dict[str, float | str]


class Skipped(Exception):
    """A part that cannot run here; says why."""


class PartResult(BaseModel):
    model_config = ConfigDict(extra="forbid")

    status: Literal["passed", "failed", "stopped", "skipped"]
    seconds: float
    figures: Figures = {}
    error: str | None = None  # what failed, where it was stopped, or why it was skipped


class Report(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    device: str  # cpu, or the GPU's name
    toy: bool  # small sizes, without a GPU: no figure means anything
    processor: str
    driver: str | None
    torch: str
    commit: str | None
    parts: dict[str, PartResult] = {}

    def write(self, path: Path) -> None:
        """Writes the report to `path`, the whole or nothing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        new.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        new.replace(path)


# The parts: each a function (toy) that returns figures


def gpu_tests(toy: bool) -> Figures:
    """`pytest -m gpu`, of the files that have such tests."""
    marked = [str(path) for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.gpu" in path.read_text("utf-8")]
    figures = pytest_figures(["-m", "gpu", *marked])
    assert toy or figures.get("passed"), "no test saw the GPU"
    return figures


def interpreter(toy: bool) -> Figures:
    """The kernels in Triton, in its interpreter."""
    if importlib.util.find_spec("triton") is None:
        raise Skipped("triton is not installed")
    return pytest_figures([str(ROOT / "tests/kernels/test_kernels.py"), "-k", "the_gpu_kernel_in_the_interpreter"])


def pytest_figures(words: list[str]) -> Figures:
    """How many tests passed, and so on; AssertionError where some failed."""
    # without the variable, the tests see no GPU: tests/conftest.py
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ",".join(visible_gpus()[:1])}
    command = [sys.executable, "-m", "pytest", *words]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode not in (0, 5):  # 5: none was chosen
        raise AssertionError(f"pytest ended with {ran.returncode}: {ran.stdout[-3000:]}{ran.stderr[-1000:]}")
    return {kind: float(count) for count, kind in re.findall(r"(\d+) (passed|skipped|deselected)", ran.stdout[-300:])}


def kernels(toy: bool) -> Figures:
    """Time of our layers over PyTorch's (cuDNN's), float32 without TF32 on both sides, forward and backward."""
    figures: Figures = {}
    for shape in shapes(toy):
        for name in LAYERS:
            (ours, library), place = both(name, shape), where(name, shape)
            times = in_turn({"ours": ours, "library": library}, 1 if toy else ROUNDS)
            for way, k in (("forward", 0), ("backward", 1)):
                figures[f"{place} {way}"] = times["ours"][k] / times["library"][k]
            figures[f"{place} ms"], figures[f"{place} library ms"] = (1e3 * sum(times[side]) for side in ("ours", "library"))
    return figures


def bf16(toy: bool) -> Figures:
    """Time under autocast to bf16: ours over ours in float32, and over PyTorch's in bf16."""
    figures: Figures = {}
    for shape in (shapes(toy)[0], shapes(toy)[-1]):
        for name in LAYERS:
            ours, library = both(name, shape)
            sides = {"float32": ours, "bf16": autocast(ours), "library": autocast(library)}
            total = {side: sum(pair) for side, pair in in_turn(sides, 1 if toy else ROUNDS).items()}
            figures[f"{where(name, shape)} / float32"] = total["bf16"] / total["float32"]
            figures[f"{where(name, shape)} / library"] = total["bf16"] / total["library"]
    return figures


def sharing(toy: bool) -> Figures:
    """Seconds of a sweep of four runs: one after another, two and four at a time on the GPU; start-up included."""
    size = ["task.length=10", "model.hidden_size=4", "train.steps=10"] if toy else ["task.length=200", "train.steps=400"]
    words = ["task=adding", "model=gru", *size, "train.eval_every=1000", "train.stop_when_solved=false", "tracker=none"]
    words += [f"seed={','.join(map(str, range(JOBS)))}", f"trainer.accelerator={'cpu' if toy else 'gpu'}"]
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as place:
        for count in (1, 2, 4):
            launcher = [f"hydra.launcher.workers={count}", f"hydra.launcher.runs_per_gpu={count}"]
            command = [sys.executable, "-m", "rnnbench", "train", "-m", *words, f"runs={place}/{count}", *launcher]
            start = time.perf_counter()
            ran = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
            if ran.returncode:
                raise AssertionError(f"rnnbench ended with {ran.returncode}: {ran.stdout[-1000:]}{ran.stderr[-2000:]}")
            recorded = len(list(Path(place, str(count)).rglob("record.json")))
            assert recorded == JOBS, f"{recorded} of {JOBS} runs were recorded"
            figures[f"{count} at a time, seconds"] = time.perf_counter() - start
        for count in (2, 4):
            figures[f"{count} at a time / one"] = figures[f"{count} at a time, seconds"] / figures["1 at a time, seconds"]  # type: ignore[operator]
    return figures


def mnist(toy: bool) -> Figures:
    """Training steps a second of the LSTM of bai2018's sequential MNIST, on synthetic pictures of its size."""
    size = ["model.hidden_size=8", "train.batch_size=4", "task.pool=4"] if toy else []
    row = yaml.safe_load((ROOT / "sweeps/bai2018/grid.yaml").read_text("utf-8"))["rows"]["smnist"]
    given = {
        word.partition("=")[0]: word for word in (*row["words"], "model=lstm", *row["cells"]["lstm"], *size, "tracker=none")
    }
    (settings,) = compose_jobs([*given.values()], sweep=False)
    task, rows = make_task(settings), settings.train.batch_size
    steps = 28 * 28 // settings.task.options["pool"] ** 2
    network = make_network(settings, task).to(device())
    optimizer = make_optimizer(network.parameters(), settings.train)
    everything = torch.ones(rows, dtype=torch.bool)
    batch = Batch(
        inputs=torch.rand(rows, steps, 1),
        targets=torch.randint(10, (rows, 1)),
        scored=everything.unsqueeze(1),
        lengths=torch.full((rows,), steps),
        fresh=everything,
    ).map(lambda part: part.to(device()))

    def step() -> None:
        optimizer.zero_grad()
        total, count = task.loss(network(batch)[0], batch)
        (total / count).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    counted = 2 if toy else 50
    for _ in range(WARM_UP):
        step()
    synchronize()
    start = time.perf_counter()
    for _ in range(counted):
        step()
    synchronize()
    return {"steps a second": counted / (time.perf_counter() - start), "pictures": f"synthetic, {steps} pixels, {rows} a batch"}


class Part(NamedTuple):
    run: Callable[[bool], Figures]
    limit: float  # seconds


PARTS = {
    "pytest -m gpu": Part(gpu_tests, 120),
    "triton interpreter": Part(interpreter, 30),
    "kernels": Part(kernels, 110),
    "bf16": Part(bf16, 50),
    "sharing": Part(sharing, 120),
    "sequential mnist": Part(mnist, 45),
}


# What is timed


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def shapes(toy: bool) -> list[Shape]:
    """T, B, H."""
    return [(4, 2, 8), (6, 2, 8), (5, 2, 16), (3, 2, 32)] if toy else [*SHAPES, (100, 64, 1024)]


def where(name: str, shape: Shape) -> str:
    return f"{name} {','.join(map(str, shape))}"


Pass = Callable[[], Tensor]  # a forward pass, to the output


def both(name: str, shape: Shape) -> tuple[Pass, Pass]:
    """Forward passes of our layer, by its fused back end where it has one, and of PyTorch's."""
    T, B, H = shape
    x = torch.randn(T, B, H, device=device(), requires_grad=True)
    stack, layer = model_stack(name, choice_settings("model", name), H).to(device()), LAYERS[name](H, H).to(device())
    for cell in stack.modules():
        if isinstance(cell, Mechanism) and "fused" in cell.backends:
            cell.backend = "fused"
    return lambda: stack.unroll(x, stack.initial_state(B))[0], lambda: layer(x)[0]


def autocast(side: Pass) -> Pass:
    def run() -> Tensor:
        with torch.autocast(device().type, torch.bfloat16):
            return side()

    return run


def in_turn(sides: Mapping[str, Pass], rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds of the forward and the backward pass of each: by CUDA events, else of the CPU."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(rounds + WARM_UP):
        for name, side in sides.items():
            begun = mark()
            y = side()
            between = mark()
            y.backward(torch.ones_like(y))
            taken[name].append(elapsed(begun, between, mark()))
    return {name: tuple(map(statistics.median, zip(*times[WARM_UP:], strict=True))) for name, times in taken.items()}  # type: ignore[misc]


def mark() -> Any:
    """Now, on the device."""
    if not torch.cuda.is_available():
        return time.process_time()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def elapsed(*marks: Any) -> tuple[float, float]:
    """Seconds between three marks."""
    synchronize()
    first, second = (
        (later - earlier) if isinstance(later, float) else earlier.elapsed_time(later) / 1e3
        for earlier, later in itertools.pairwise(marks)
    )
    return first, second


# How parts run


def run_parts(report: Report, parts: Mapping[str, Part], path: Path) -> None:
    """Runs `parts` in turn and adds each to `report`, which is written to `path` after each."""
    report.write(path)
    for name, part in parts.items():
        print(f"{name} ...", end=" ", flush=True)
        result = report.parts[name] = run_part(part, report.toy)
        report.write(path)
        print(f"{result.status} in {result.seconds:.0f} s", flush=True)


def run_part(part: Part, toy: bool) -> PartResult:
    """One part, in a process group of its own, which ends with its limit."""
    with tempfile.TemporaryDirectory() as place:
        answer = Path(place, "part.json")
        process = multiprocessing.get_context("spawn").Process(target=answered, args=(part.run, toy, answer))
        start = time.perf_counter()
        process.start()
        try:
            process.join(part.limit)
            stopped = process.is_alive()
        finally:
            for end in (lambda: os.killpg(process.pid or 0, signal.SIGKILL), process.kill):
                with contextlib.suppress(ProcessLookupError, PermissionError):  # it has no group of its own before it began
                    end()
            process.join()
        seconds = time.perf_counter() - start
        if answer.exists():
            return PartResult.model_validate_json(answer.read_text("utf-8")).model_copy(update={"seconds": seconds})
        said = f"stopped after its {part.limit:g} s" if stopped else f"its process ended with {process.exitcode}"
        return PartResult(status="stopped" if stopped else "failed", seconds=seconds, error=said)


def answered(function: Callable[[bool], Figures], toy: bool, answer: Path) -> None:
    """What a part's process does: writes its result to `answer`."""
    os.setsid()
    configure_process()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        result = PartResult(status="passed", seconds=0, figures=function(toy))
    except Skipped as why:
        result = PartResult(status="skipped", seconds=0, error=str(why))
    except Exception:
        result = PartResult(status="failed", seconds=0, error=traceback.format_exc()[-4000:])
    new = answer.with_suffix(".new")
    new.write_text(result.model_dump_json(), encoding="utf-8")
    new.replace(answer)


def new_report() -> Report:
    """A report of this machine, without parts."""
    gpu, driver = torch.cuda.is_available(), None
    if gpu:
        with contextlib.suppress(OSError, subprocess.SubprocessError, IndexError):
            asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
            driver = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout.split()[0]
    return Report(
        device=torch.cuda.get_device_name() if gpu else "cpu",
        toy=not gpu,
        processor=processor_name(),
        driver=driver,
        torch=torch.__version__,
        commit=code_commit(),
    )


def main(path: Path) -> int:
    """Runs all parts; 1 where one failed or was stopped."""
    report = new_report()
    print(f"{report.device}{', at toy size: no figure means anything' if report.toy else ''}", flush=True)
    run_parts(report, PARTS, path)
    print(path)
    return int(any(part.status in ("failed", "stopped") for part in report.parts.values()))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
