"""What a person sees of runs in each tracker. `make dashboard` runs a sweep against the tests' server and writes it all down.

    python -m tests.support.dashboard FOLDER

FOLDER must be empty. A sweep of 24 runs (3 models, 2 rates, 2 tasks, 2 seeds) goes online to a server on loopback; printed are
keys by section, names, and the settings and results of one run, then whether all is equal to the local records, the panels of
the saved workspace and the terminal of `wandb leet`. A run of version 0.1 is replayed into every tracker that is installed;
with Chromium, pictures of TensorBoard and trackio are written. Last comes what each tracker costs.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rnnbench.benchmarks.tracking import compare_trackers
from rnnbench.run.process_settings import configure_process
from rnnbench.tracking.columns import column_rank
from tests.support.wandb_server import Run, Server

SWEEP = ["task=adding,temporal_order", "model=rnn,lstm,gru", "train.learning_rate=0.01,0.001", "seed=0,1", "sweep=dash"]
SMALL = ["task.length=10", "task.sequences=40", "train.batch_size=8", "model.hidden_size=8"]
SMALL += ["train.steps=40", "train.log_every=4", "train.eval_every=20", "train.stop_when_solved=false"]
FIXTURE = Path(__file__).parent.parent / "fixtures" / "v0_1" / "store"
OLD = "adding/lstm/s0-d13d0fc3"  # the run of version 0.1 that is replayed
REPLAYED = ("tensorboard", "trackio")
WIDE, TALL = 1500, 1100  # pixels of a picture of a page, and characters by tens of a terminal


def environment(folder: Path, url: str = "") -> dict[str, str]:
    """An account at `url` and nothing of the user's; without `url` no account."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "TRACKIO"))}
    home = folder / "home"
    home.mkdir(exist_ok=True)
    places = dict.fromkeys(("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"), str(home))
    account = {"WANDB_BASE_URL": url, "WANDB_API_KEY": "0" * 40} if url else {}
    return {**kept, **places, **account, "WANDB_ERROR_REPORTING": "false", "TRACKIO_DIR": str(folder / "trackio")}


def rnnbench(folder: Path, settings: Mapping[str, str], *words: str) -> str:
    """What the command prints; CalledProcessError where it fails."""
    command = [sys.executable, "-m", "rnnbench", *words]
    return subprocess.run(command, cwd=folder, env=settings, check=True, stdout=subprocess.PIPE, text=True).stdout


def run_sweep(folder: Path, server: Server) -> list[Run]:
    """The 24 runs as the server holds them, in the order of their names."""
    rnnbench(folder, environment(folder, server.url), "train", "-m", *SWEEP, *SMALL)
    return sorted(server.runs.values(), key=lambda run: run.display_name)


def keys_by_section(runs: Sequence[Run]) -> dict[str, list[str]]:
    """The columns of all runs by section, in the order of the dashboard."""
    keys = {key for run in runs for row in run.rows() for key in row}
    found: dict[str, list[str]] = defaultdict(list)
    for key in sorted(keys, key=lambda key: (column_rank(key), key)):
        found[key.partition("/")[0]].append(key.partition("/")[2] or key)
    return dict(found)


def panels(spec: Mapping[str, Any]) -> list[str]:
    """A line for each section of a workspace: its name, whether it is open, its panels by kind and by what they show."""
    lines = []
    for section in spec["section"]["panelBankConfig"]["sections"]:
        shown = []
        for panel in section["panels"]:
            config = panel["config"]
            what = config.get("metrics") or config.get("mediaKeys") or config.get("metricRegex") or config.get("yAxis")
            shown.append(f"{panel['viewType']} of {what or config.get('tableKey') or config.get('panelDefId', '')}")
        lines.append(f"{section['name']} ({'open' if section['isOpen'] else 'closed'}): {'; '.join(shown)}")
    return lines


def replay_old(folder: Path) -> Iterator[str]:
    """A run of version 0.1 written into every tracker; a line each."""
    shutil.copytree(FIXTURE / OLD, folder / "old" / OLD)
    for name in REPLAYED:
        if find_spec(name) is None:
            yield f"{name}: not installed"
            continue
        yield f"{name}: {rnnbench(folder, environment(folder), 'sync', '--to', name, 'old').splitlines()[-1]}"
    with Server() as server:
        yield f"wandb: {rnnbench(folder, environment(folder, server.url), 'sync', '--all', 'old').splitlines()[-1]}"
        for run in server.runs.values():
            yield f"  {run.display_name}: {len(run.rows())} rows, {', '.join(keys_by_section([run]))}"


@contextlib.contextmanager
def serving(command: Sequence[str], folder: Path, port: int) -> Iterator[None]:
    """A server of another program, until its port answers and as long as this lasts."""
    with (
        open(folder / "server.log", "a") as log,
        subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=log, stderr=log) as child,
    ):
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and child.poll() is None:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.5)
            yield
        finally:
            child.terminate()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def take_picture(browser: str, address: str, path: Path) -> None:
    """The page as it stands when what it asks for has come."""
    words = [
        "--headless=new",
        "--no-sandbox",
        "--enable-unsafe-swiftshader",
        "--hide-scrollbars",
        f"--window-size={WIDE},{TALL}",
    ]
    words += ["--virtual-time-budget=20000", f"--screenshot={path}", address]
    subprocess.run([browser, *words], timeout=120, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def take_pictures(folder: Path) -> Iterator[str]:
    """Pictures of TensorBoard and trackio, where Chromium is there; a line each."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        yield "no Chromium: no pictures"
        return
    if find_spec("tensorboard"):
        port = free_port()
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", ".", "--port", str(port), "--bind_all"]
        with serving(command, folder, port):
            for page in ("scalars", "images"):
                take_picture(browser, f"http://127.0.0.1:{port}/#{page}", folder / f"tensorboard-{page}.png")
                yield f"tensorboard-{page}.png"
    if find_spec("trackio"):
        port = free_port()
        code = f"import trackio; trackio.show('rnnbench', server_port={port}, open_browser=False, block_thread=True)"
        with serving([sys.executable, "-c", code], folder, port):
            take_picture(browser, f"http://127.0.0.1:{port}/?project=rnnbench", folder / "trackio.png")
            yield "trackio.png"


def leet_screen(folder: Path) -> str:
    """The terminal of `wandb leet` in `folder` after some seconds; nothing without tmux."""
    if shutil.which("tmux") is None:
        return "no tmux: no terminal"
    tmux = ["tmux", "-L", f"rnnbench-{os.getpid()}"]
    leet = f"{sys.executable} -m wandb leet"
    settings = {**environment(folder), "TERM": "xterm-256color"}
    subprocess.run([*tmux, "new-session", "-d", "-x", str(WIDE // 10), "-y", "40", leet], cwd=folder, env=settings, check=True)
    try:
        time.sleep(8)
        return subprocess.run([*tmux, "capture-pane", "-p"], check=True, stdout=subprocess.PIPE, text=True).stdout
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)


def show_sweep(folder: Path) -> None:
    """Prints what the server holds of the sweep, and whether it is equal to the local records."""
    with Server() as server:
        runs = run_sweep(folder, server)
        for section, keys in keys_by_section(runs).items():
            print(f"  {section}: {', '.join(keys)}")
        names = [run.display_name for run in runs]
        print(f"{len(runs)} runs, {len(set(names))} names")
        print("\n".join(f"  {name}" for name in names))
        print("settings of the last:", json.dumps(runs[-1].settings(), indent=1))
        print("results of the last:", json.dumps(runs[-1].results(), indent=1))
        print(rnnbench(folder, environment(folder, server.url), "sync").splitlines()[-1])
    for task in ("adding", "temporal_order"):
        print(f"workspace for {task}")
        spec = json.loads(rnnbench(folder, environment(folder), "wandb-workspace", "p", "--task", task, "--dry-run"))
        print("\n".join(f"  {line}" for line in panels(spec)))


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        sys.exit(f"{folder} is not empty")
    show_sweep(folder)
    print(leet_screen(folder))
    for line in (*replay_old(folder), *take_pictures(folder)):
        print(line)
    configure_process()
    compare_trackers(quick=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
