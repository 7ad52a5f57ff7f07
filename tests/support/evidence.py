"""`python -m tests.support.evidence HOURS`: runs what sweeps/queue.yaml lists, for so many hours, on one core.

    .evidence/tree   a git worktree at one commit, with an environment of its own: the checkout may be edited meanwhile
    .evidence/runs   the runs; what is interrupted continues when the command is given again
    .evidence/log    what was done when; the output of each entry stands in .evidence/logs

Before it starts, the worktree moves to the commit of the checkout, unless an interrupted run there must be completed by the
code that began it; the log says which. After each entry, what is recorded is collected into sweeps/TABLE and committed.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from rnnbench.options import BadOption, named
from rnnbench.reproduction.declaration import load_declaration, read_declared

ROOT = Path(__file__).parents[2]
QUEUE = ROOT / "sweeps" / "queue.yaml"
TO_STOP = 600  # seconds that an interrupted run has to save itself


class Entry(BaseModel):
    """Cells of a table, or with `as` what `reproduce --as` runs of its rows."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    table: str
    rows: str
    columns: str = ""
    scale: Literal["paper", "laptop"] = "paper"
    arms: Literal["", "published", "readings", "choices"] = Field("", alias="as")
    hours: Annotated[float, Field(gt=0)]  # of all its runs, on one core

    @property
    def words(self) -> list[str]:
        columns = ["--columns", self.columns] if self.columns else []
        how = ["--as", self.arms] if self.arms else ["--scale", self.scale]
        return ["reproduce", self.table, "--rows", self.rows, *columns, *how]


class Queue(RootModel[list[Entry]]):
    pass


def load_queue(path: Path = QUEUE) -> list[Entry]:
    """BadOption, one line, for a key or value that is none."""
    return read_declared(path, Queue).root


def check_queue(entries: Sequence[Entry]) -> None:
    """BadOption where an entry names a table, row or column that there is not."""
    for entry in entries:
        table = load_declaration(entry.table)
        for row in named("row", entry.rows, list(table.grid.rows)):
            named("column", entry.columns or None, list(table.columns(row)))


def asked_hours(words: Sequence[str]) -> float:
    try:
        (hours,) = map(float, words)
    except ValueError:
        hours = math.nan
    if not 0 < hours < math.inf:
        raise BadOption(f"HOURS={' '.join(words)}: allowed: a number of hours above 0, as in make evidence HOURS=2.5")
    return hours


def git(place: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(place), *words], capture_output=True, text=True, check=True).stdout.strip()


def unfinished(runs: Path) -> list[Path]:
    """Run folders that hold a checkpoint and no record."""
    return [path.parent for path in runs.glob("*/*/*/checkpoints") if not (path.parent / "record.json").exists()]


def prepare_tree(root: Path, place: Path) -> str:
    """Makes the worktree, or moves it to the commit of `root`; the commit that it is at, and why where it is another one."""
    tree = place / "tree"
    if not tree.exists():
        place.mkdir(exist_ok=True)
        git(root, "worktree", "add", "--detach", str(tree), "HEAD")
    elif not (begun := unfinished(place / "runs")):
        git(tree, "checkout", "--quiet", "--detach", git(root, "rev-parse", "HEAD"))
    elif git(tree, "rev-parse", "HEAD") != git(root, "rev-parse", "HEAD"):
        commit = git(tree, "rev-parse", "--short", "HEAD")
        return f"{commit}, which began {begun[0]} (to give that run up, delete its checkpoints)"
    return git(tree, "rev-parse", "--short", "HEAD")


def run_until(command: Sequence[str], ends: float, output: Path, cwd: Path) -> int | None:
    """The exit code of `command`; None where it was interrupted when the time was over. Ctrl-C interrupts it and is raised."""
    output.parent.mkdir(exist_ok=True)
    with output.open("a") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=cwd, start_new_session=True)
        try:
            return process.wait(max(ends - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                process.terminate()  # a background process may ignore SIGINT
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(TO_STOP)
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()


def changed(root: Path) -> set[str]:
    """The files below sweeps/ that are not as the last commit has them."""
    lines = git(root, "status", "--porcelain", "--untracked-files=all", "-z", "--", "sweeps").split("\0")
    return {line.lstrip().partition(" ")[2].lstrip() for line in lines if line}  # `git` strips the first status


def written(root: Path, table: str, all_pages: bool) -> dict[Path, bytes | None]:
    """The files that collecting a table writes, with their content; `all_pages`: those of other tables, too."""
    sweeps = root / "sweeps"
    folders = [path for path in sweeps.iterdir() if path.is_dir()] if all_pages else [sweeps / table]
    pages = [folder / name for folder in folders for name in ("README.md", "DETAILS.md")]
    files = [sweeps / table / "results.jsonl", *pages, *([sweeps / "README.md"] if all_pages else [])]
    return {path: path.read_bytes() if path.exists() else None for path in files}


def commit_results(root: Path, table: str, program: Sequence[str], runs: Path) -> str:
    """Collects the runs of a table into `root` and commits them with the pages that show them; what was done, in a line.

    What somebody edits is left alone. Where git refuses, the files are as before, and the next time does it all again.
    """
    edited, folder = changed(root), Path("sweeps") / table
    if any(Path(path).is_relative_to(folder) for path in edited):
        return f"{folder} has changes that are not committed; collect it by hand: table {table} --collect --runs {runs}"
    before = written(root, table, all_pages=not edited)
    for words in ([table, "--collect", "--runs", str(runs)], [table if edited else "all", "--write"]):
        done = subprocess.run([*program, "table", *words], cwd=root, capture_output=True, text=True, check=False)
        if done.returncode:
            restore(before)
            return f"not collected: {done.stderr.strip()[-300:]}"
    made = [str(path) for path, text in before.items() if path.exists() and path.read_bytes() != text]
    if not any(Path(path).is_relative_to(root / folder) for path in made):
        restore(before)
        return "nothing new"
    try:
        git(root, "add", "--", *made)
        git(root, "commit", "--quiet", "-m", f"{table}: results of the queue", "--", *made)
        return f"committed {git(root, 'rev-parse', '--short', 'HEAD')}"
    except subprocess.CalledProcessError as error:
        with contextlib.suppress(subprocess.CalledProcessError):
            git(root, "reset", "--quiet", "--", *made)
        restore(before)
        return f"not committed: {' '.join(error.stderr.split())[:300]}"


def restore(before: dict[Path, bytes | None]) -> None:
    for path, text in before.items():
        if text is None:
            path.unlink(missing_ok=True)
        elif path.read_bytes() != text:
            path.write_bytes(text)


def work_through(
    entries: Sequence[Entry], hours: float, root: Path, place: Path, runner: Sequence[str], program: Sequence[str]
) -> int:
    """Runs `entries` in order until the time is over; 1 where one of them failed. `runner` runs, `program` collects."""
    ends, failed = time.monotonic() + 3600 * hours, False
    (place / "runs").mkdir(parents=True, exist_ok=True)
    say = _logger(place / "log")
    for number, entry in enumerate(entries):
        left = ends - time.monotonic()
        if left <= 0:
            break
        say(f"{' '.join(entry.words)}: begins, {left / 3600:.2f} h left")
        command = [*runner, *entry.words, "tracker=none", f"runs={place / 'runs'}", "hydra.launcher.workers=1"]
        code: int | None = None
        output = place / "logs" / f"{number:02}-{entry.table}.log"
        try:
            code = run_until(command, ends, output, place)
        finally:
            ending = "interrupted, continues next time" if code is None else "done"
            if code:
                ending = f"exit code {code}, {(output.read_text().strip().splitlines() or [''])[-1]}"
            say(f"{' '.join(entry.words)}: {ending}; {commit_results(root, entry.table, program, place / 'runs')}")
        failed |= bool(code)
    return int(failed)


def _logger(path: Path) -> Callable[[str], None]:
    def say(line: str) -> None:
        stamped = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S} {line}"
        with path.open("a") as file:
            print(stamped, file=file)
        print(stamped, flush=True)

    return say


@contextlib.contextmanager
def alone(place: Path) -> Iterator[None]:
    """Held by one process at a time; BadOption for a second one."""
    place.mkdir(exist_ok=True)
    with (place / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadOption(f"the queue is being worked through already; its log: {place / 'log'}") from None
        yield


def main(words: Sequence[str]) -> int:
    place = ROOT / ".evidence"
    try:
        hours = asked_hours(words)
        check_queue(load_queue())
        with alone(place):
            return run_queue(hours, place)
    except BadOption as error:
        print(f"evidence: {error}", file=sys.stderr)
        return 2


def run_queue(hours: float, place: Path) -> int:
    commit = prepare_tree(ROOT, place)
    subprocess.run(["make", "-C", str(place / "tree"), ".venv/installed"], check=True)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    _logger(place / "log")(f"at {commit}, for {hours:g} h")
    runner = [str(place / "tree" / ".venv" / "bin" / "rnnbench")]
    queue = load_queue(place / "tree" / "sweeps" / "queue.yaml")  # beside the tables that it is of
    return work_through(queue, hours, ROOT, place, runner, [sys.executable, "-m", "rnnbench"])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
