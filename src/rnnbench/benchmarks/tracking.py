"""What a mirror at W&B costs while its server is well, slow, answers 500, or is gone: milliseconds a step, seconds at the end.

The server is one on loopback that takes a run and then goes wrong. Rounds of all of them alternate in one process, so that
whatever else the machine does meets each of them alike; each is compared with the training without a mirror of its own round.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch

from rnnbench.tasks.task import Task

from ..config.compose import compose_jobs
from ..config.settings import Settings
from ..run.journal import Journal
from ..run.plan import make_network, make_task
from ..run.process_settings import configure_process
from ..store.run_folder import RunFolder
from ..tracking.make import make_tracker
from ..tracking.mirror import Mirror
from ..tracking.pictures import STATE, draw_maps
from ..tracking.tracker import MirrorRow, Run, Tracker, TrackerUnavailable
from ..tracking.wandb_tracker import WandbTracker
from ..training.learner import Learner
from ..training.trainer import fit
from .history import Measured, noise_of

SHAPE = ["task=adding", "model=lstm", "model.hidden_size=64", "task.length=50", "train.batch_size=50", "task.sequences=100"]
STATES = ("no mirror", "well", "slow", "500", "gone")
SLOW = 3.0  # seconds before each answer
LONGEST_END = 10.0  # seconds that a run may wait for its server at the end


class Server:
    """Takes every run; `state` says how it answers from then on."""

    def __init__(self) -> None:
        self.state = "well"
        handler = type("Handler", (_Handler,), {"server_state": self})
        self.http = _Listener(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def answer(self, path: str, body: bytes) -> dict[str, object]:
        if path != "/graphql":
            return {"exitcode": None, "limits": {}}
        asked = json.loads(body)
        found = re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])
        project = {"id": "p", "name": "p", "entity": {"id": "e", "name": "me"}}
        name = (asked.get("variables") or {}).get("name")
        bucket = {"id": "b", "name": name, "displayName": name, "project": project, "config": "{}", "sweepName": None}
        me = {"id": "u", "entity": "me", "username": "me", "email": "me@localhost", "flags": "{}", "teams": {"edges": []}}
        answers: dict[str, Any] = {
            "Viewer": {"viewer": me},
            "ServerFeaturesQuery": {"serverInfo": {"features": []}},
            "RunResumeStatus": {"model": {**project, "bucket": None}},
            "UpsertBucket": {"upsertBucket": {"bucket": {**bucket, "historyLineCount": 0}, "inserted": True}},
            "CreateRunFiles": {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": []}},
        }
        return {"data": answers.get(asked.get("operationName") or (found[1] if found else ""))}


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that hangs up is no news


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        state = self.server_state.state
        if state == "slow":
            time.sleep(SLOW)
        if state == "gone":
            self.close_connection = True
            return
        text = json.dumps(self.server_state.answer(self.path, body) if state != "500" else {"error": "as asked"}).encode()
        self.send_response(500 if state == "500" else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_HEAD = do_PUT = do_POST


@contextlib.contextmanager
def account(url: str, place: str) -> Iterator[None]:
    """An account at `url` and at no other place, for as long as this lasts; the user's own is not touched."""
    before = {name: value for name, value in os.environ.items() if name.startswith("WANDB")}
    ours = dict.fromkeys(("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_DIR"), place)
    ours |= {"WANDB_BASE_URL": url, "WANDB_API_KEY": "0" * 40, "WANDB_ERROR_REPORTING": "false"}
    for name in before:
        del os.environ[name]
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
        os.environ.update(before)


@dataclass(frozen=True)
class Cost:
    """Of one training: seconds a step, the share of them inside the mirror, and the seconds that its end takes."""

    step: float
    inside: float
    end: float


def main(quick: bool = False, words: Sequence[str] = ()) -> list[Measured]:
    """Prints what each state of the server costs; returns what it takes of a step, and of the ten seconds that an end may."""
    rounds, steps = (2, 200) if quick else (7, 400)
    configure_process()
    sizes = [f"train.steps={steps}", f"train.eval_every={steps}", "train.stop_when_solved=false"]
    (settings,) = compose_jobs([*SHAPE, *sizes, "tracker=none"], sweep=False)
    task = make_task(settings)
    measured: dict[str, list[Cost]] = {state: [] for state in STATES}
    server = Server()
    with tempfile.TemporaryDirectory() as place, account(server.url, place), contextlib.redirect_stderr(io.StringIO()):
        for number in range(rounds + 1):
            for state in STATES[number % len(STATES) :] + STATES[: number % len(STATES)]:
                cost = one_round(settings, task, server, state, f"{state.replace(' ', '-')}-{number}", Path(place))
                if number:  # the first round warms up
                    measured[state].append(cost)
    server.http.shutdown()
    print(f"a row every {settings.train.log_every} steps; medians of {rounds} rounds; slow is {SLOW:g} s an answer")
    print(f"{'server':10} {'ms a step':>10} {'slower by':>10} {'inside the mirror':>18} {'end takes':>10} {'at most':>9}")
    rows = []
    for state, costs in measured.items():
        ratio = statistics.median(cost.step / none.step for cost, none in zip(costs, measured["no mirror"], strict=True))
        step, inside, end = (statistics.median(getattr(cost, name) for cost in costs) for name in ("step", "inside", "end"))
        most = max(cost.end for cost in costs)
        print(f"{state:10} {step * 1000:10.3f} {ratio - 1:10.1%} {inside:18.2%} {end:8.2f} s {most:7.2f} s")
        if state != "no mirror":
            noise = noise_of([1 + cost.inside for cost in costs])
            rows.append(Measured(f"server {state}: a step with the mirror / without", 1 + inside, must=1.02, noise=noise))
            rows.append(Measured(f"server {state}: the end at most / 10 s", most / LONGEST_END, must=1.0))
    compare_trackers(quick)
    print("at most 2 % and 10 s are wanted; beside other work on the machine, what is inside the mirror is the surer figure")
    return rows


def compare_trackers(quick: bool) -> None:
    """Prints what each tracker takes of a step at T = 100, B = 50, H = 128, by the time of this thread's processor."""
    steps = 30 if quick else 200
    print(f"\na picture of the gradient through time, four in a run: {time_picture():.0f} ms")
    print(f"{'tracker':12} {'a row every':>12} {'ms a row':>10} {'of a step':>10}")
    for every in (50, 1):
        sizes = [
            f"train.steps={steps}",
            f"train.eval_every={steps}",
            f"train.log_every={every}",
            "train.stop_when_solved=false",
        ]
        shape = ["task=adding", "model=lstm", "model.hidden_size=128", "task.length=100", "train.batch_size=50"]
        (settings,) = compose_jobs([*shape, "task.sequences=50", *sizes, "tracker=none"], sweep=False)
        task = make_task(settings)
        for name, options in (("wandb", {"mode": "offline"}), ("tensorboard", {}), ("trackio", {})):
            with tempfile.TemporaryDirectory() as place, account("http://127.0.0.1:9", place):  # W&B is offline here
                os.environ["TRACKIO_DIR"] = place
                try:
                    mirror = Timed({name: make_tracker(name, options)})
                except TrackerUnavailable as error:
                    print(f"{name:12} {error}")
                    continue
                folder = RunFolder(Path(place) / "run")
                folder.start(settings.plain())
                plain = settings.plain()
                plain["train"]["steps"] = 5000  # so that no picture falls into these steps: it is timed below
                mirror.start(Run("x", "x", folder.path, plain, headline=task.headline))
                journal = Journal({}, "benchmark", folder, folder.open_log(), mirror, task, steps)
                learner = Learner(make_network(settings, task), task, journal, 0, settings.train)
                began = time.thread_time()
                fit(learner, settings.trainer)
                step = (time.thread_time() - began - mirror.processor) / steps
                journal.log.close()
                mirror.finish({}, "finished")
            a_row = mirror.processor / mirror.rows
            print(f"{name:12} {every:6} steps {a_row * 1000:10.2f} {a_row / every / step:10.2%}")


def time_picture() -> float:
    """Milliseconds of the picture of two states after 50 logged rows of 100 steps; a run has four."""
    states = {f"{STATE}core.0.0/{name}": [-0.1 * step for step in range(80)] for name in "hc"}
    draw_maps([(50 * row, states) for row in range(1, 51)], 100)  # imports Pillow
    began = time.thread_time()
    draw_maps([(50 * row, states) for row in range(1, 51)], 100)
    return 1000 * (time.thread_time() - began)


def one_round(settings: Settings, task: Task, server: Server, state: str, name: str, place: Path) -> Cost:
    """What one training cost."""
    server.state = "well"
    folder = RunFolder(place / name)
    folder.start(settings.plain())
    tracker = Timed({} if state == "no mirror" else {"wandb": WandbTracker("online")})
    tracker.start(Run(name, name, folder.path, {}))
    server.state = state
    torch.manual_seed(0)
    journal = Journal({}, "benchmark", folder, folder.open_log(), tracker, task, settings.train.steps)
    learner = Learner(make_network(settings, task), task, journal, 0, settings.train)
    fit(learner, settings.trainer)
    journal.log.close()
    began = time.perf_counter()
    tracker.finish({}, "finished")
    return Cost(learner.clock.seconds / learner.step, tracker.seconds / learner.clock.seconds, time.perf_counter() - began)


class Timed(Mirror):
    """A mirror, and the seconds that training has waited for it."""

    def __init__(self, trackers: Mapping[str, Tracker]):
        super().__init__(trackers)
        self.seconds = self.processor = 0.0
        self.rows = 0

    def row(self, values: MirrorRow) -> None:
        began, worked = time.perf_counter(), time.thread_time()
        super().row(values)
        self.seconds += time.perf_counter() - began
        self.processor += time.thread_time() - worked
        self.rows += 1
