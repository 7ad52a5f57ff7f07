"""What a sweep costs: overhead a job, throughput, memory of the launcher, and a store of a hundred thousand runs.

Every figure is of whole commands, as a user gives them, each in a process of its own and a folder of its own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ..launch.worker import peak_megabytes
from ..store.record import digest, plain

TRIVIAL = ["task=adding", "task.length=6", "task.sequences=20", "train.batch_size=4", "model.hidden_size=4", "train.steps=1"]
SMALL = ["task=adding", "task.length=50", "model.hidden_size=32", "train.batch_size=20", "task.sequences=100"]
QUIET = ["tracker=none", "train.instruments=false", "train.stop_when_solved=false"]
STORE = 100_000  # runs

# The same network, batch size and number of steps as a user of Lightning writes them first: the library's layer, a set of rows
# and a loader that collates them, Lightning and PyTorch as they come.
DEFAULT = """
import hydra, torch, pytorch_lightning as lightning
from rnnbench.config.compose import compose_jobs
from rnnbench.config.hydra_store import register_config
from rnnbench.run.plan import make_task

class Script(lightning.LightningModule):
    def __init__(self, kind, width):
        super().__init__()
        self.layer = getattr(torch.nn, kind.upper())(2, width, batch_first=True)
        self.readout = torch.nn.Linear(width, 1)

    def training_step(self, batch, _):
        inputs, targets = batch
        loss = torch.nn.functional.mse_loss(self.readout(self.layer(inputs)[0][:, -1]), targets)
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.002)

@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    register_config.cache_clear()
    (settings,) = compose_jobs([f"model={cfg.kind}", f"seed={cfg.seed}", *{words!r}], sweep=False)
    task, train = make_task(settings), settings.train
    made = [task.batch("train", step, train.batch_size, cfg.seed) for step in range(train.steps)]
    rows = torch.utils.data.TensorDataset(torch.cat([b.inputs for b in made]), torch.cat([b.targets[:, 0] for b in made]))
    loader = torch.utils.data.DataLoader(rows, batch_size=train.batch_size, shuffle=True)
    trainer = lightning.Trainer(accelerator="cpu", max_steps=train.steps, gradient_clip_val=train.clip)
    trainer.fit(Script(cfg.kind, settings.model.options["hidden_size"]), loader)

main()
"""


def main(quick: bool = False, words: Sequence[str] = ()) -> None:
    """Prints what sweeps cost: overhead a job, throughput, memory, a large store."""
    if quick:
        measure_overhead(jobs=20, counts=(4, 8), steps=100, store=5_000)
    else:
        measure_overhead(jobs=200, counts=(12, 36), steps=600, store=STORE)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "rnnbench", *words]


def timed(words: Sequence[str], place: str) -> tuple[float, float]:
    """(seconds, the most memory in MB) of one command in the folder `place`; RuntimeError where it fails."""
    began, peak = time.perf_counter(), 0.0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(words, cwd=place, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, peak_megabytes(process.pid))
            time.sleep(0.02)
        took = time.perf_counter() - began
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(words)}: {said.read().decode('utf-8', 'replace')[-500:]}")
    return took, peak


def measure_overhead(jobs: int, counts: tuple[int, int], steps: int, store: int) -> None:
    """Prints overhead of `jobs` trivial jobs, throughput of `counts` small ones of `steps` steps, and a store of `store`."""
    seeds = f"seed=range({jobs})"
    with tempfile.TemporaryDirectory() as place:
        print(f"overhead: {jobs} jobs of one step; seconds a job, and the launcher's memory at most")
        for name, words in {
            "processes, 2 at a time": ["hydra.launcher.workers=2"],
            "processes, 1 at a time": ["hydra.launcher.workers=1"],
            "Hydra's basic": ["hydra/launcher=basic"],
        }.items():
            runs = f"runs={name.replace(' ', '_')}".replace(",", "").replace("'", "")
            took, peak = timed(command("train", "-m", *TRIVIAL, *QUIET, "model=gru", seeds, "sweep=s", runs, *words), place)
            print(f"  {name:24} {took / jobs:8.3f} s  {peak:6.0f} MB", flush=True)
        large_store(Path(place), jobs, store, seeds)
    throughput(counts, steps)


def large_store(place: Path, jobs: int, store: int, seeds: str) -> None:
    """A sweep that is complete already, in a store of `store` runs; and its status."""
    there = place / "runs=processes_2_at_a_time".partition("=")[2]
    (first, *_) = there.glob("adding/gru/*/record.json")
    sample = first.read_bytes()
    for number in range(store - jobs):
        folder = there / "adding" / "gru" / f"s{number}-{digest(plain(number))[:8]}"
        folder.mkdir()
        (folder / "record.json").write_bytes(sample)
    words = [*TRIVIAL, *QUIET, "model=gru", seeds, "sweep=s", f"runs={there.name}", "hydra.launcher.workers=2"]
    took, peak = timed(command("train", "-m", *words), str(place))
    print(f"a store of {store:,} runs: a complete sweep of {jobs} again {took:.1f} s, launcher {peak:.0f} MB", end="; ")
    took, _ = timed(command("status", "s", "--runs", there.name), str(place))
    print(f"its status {took:.2f} s", flush=True)


def throughput(counts: tuple[int, int], steps: int) -> None:
    """Small jobs by two workers, by one, by the default set-up: sweeps of two lengths, whose difference has no start in it."""
    sizes = [*SMALL, f"train.steps={steps}", f"train.eval_every={steps}", *QUIET]
    bound = together(sizes)
    took: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as place:
        Path(place, "script.py").write_text(DEFAULT.replace("{words!r}", repr(sizes)), encoding="utf-8")
        script = [sys.executable, "script.py", "-m", "+kind=lstm,gru"]
        train = command("train", "-m", *sizes, "model=lstm,gru")
        ways = {
            "2 at a time": [*train, "hydra.launcher.workers=2", "runs=two"],
            "1 at a time": [*train, "hydra.launcher.workers=1", "runs=one"],
            "a default script, basic": script,
        }
        if importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher"):
            ways["a default script, joblib"] = [*script, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
        for count in counts:
            for name, words in ways.items():
                plus = "+" if words[1] == "script.py" else ""  # Hydra's sign for a key that the script's config lacks
                seeds = f"{plus}seed=range({count // 2})"
                places = [f"{word}_{count}" if word.startswith("runs=") else word for word in words]
                took.setdefault(name, []).append(timed([*places, seeds], place)[0])
    few, many = counts
    print(f"throughput: jobs of {steps} steps (LSTM and GRU of 32); two bare processes do {bound:.2f} times the work of one")
    print(
        f"  {'':24} {f'{few} jobs':>9} {f'{many} jobs':>9}  {'a job':>8} {'start':>7}   2 at a time gains: {many} jobs, a job"
    )
    rates = {name: (times[1] - times[0]) / (many - few) for name, times in took.items()}
    for name, (short, long) in took.items():
        each, ratio = rates[name], rates[name] / rates["2 at a time"]
        print(
            f"  {name:24} {short:7.1f} s {long:7.1f} s {each:7.2f} s {short - few * each:5.1f} s"
            f"   {long / took['2 at a time'][1]:29.2f}, {ratio:5.2f}",
            flush=True,
        )
    print(json.dumps({"cores": os.cpu_count(), "load": [round(load, 1) for load in os.getloadavg()]}))


# The same training with nothing around it, each time that a line comes in.
BARE = """
import sys, time
from rnnbench.benchmarks.overhead import trained
from rnnbench.config.compose import compose_jobs
from rnnbench.run.plan import make_task
from rnnbench.run.process_settings import configure_process
from rnnbench.training.learner import Learner

configure_process()
(settings,) = compose_jobs([*sys.argv[1:], "model=lstm"], sweep=False)
task = make_task(settings)
trained(Learner, settings, task)
for line in sys.stdin:
    began = time.perf_counter()
    trained(Learner, settings, task)
    print(time.perf_counter() - began, flush=True)
"""


def together(sizes: Sequence[str], rounds: int = 5) -> float:
    """How much more work two processes do than one, at the same time and with nothing in common: what no pool can pass.

    Cores that share a clock, a memory or, as two threads of one, their units, fall short of 2. Median of `rounds`.
    """
    words = [sys.executable, "-c", BARE, *sizes]
    with tempfile.TemporaryDirectory() as place:
        pair = [subprocess.Popen(words, cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]

        def train(processes: Sequence[subprocess.Popen[str]]) -> float:
            for process in processes:
                assert process.stdin is not None
                print(file=process.stdin, flush=True)
            return max(float(process.stdout.readline()) for process in processes if process.stdout is not None)

        try:
            train(pair)  # both are ready
            return statistics.median(2 * train(pair[:1]) / train(pair) for _ in range(rounds))
        finally:
            for process in pair:
                process.kill()
                process.communicate()
