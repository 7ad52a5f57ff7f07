"""`rnnbench.train` and `rnnbench.sweep`: the command in a process of its own. The caller's threads and signals stay."""

from __future__ import annotations

import contextlib
import json
import numbers
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pyarrow

from ..config.overrides import quoted
from ..config.plain_overrides import plain_word
from ..console import show
from ..options import BadOption, Failed, plain_text
from ..run.load import Trained, load_run
from ..run.recorded import result_text
from ..store.run_folder import RunFolder
from .run_table import runs_table

PREFIX = "rnnbench: "  # of lines on standard error
QUIET = 1.0  # seconds without a line after which the output of a process that has ended is complete
BAD_INPUT, INTERRUPTED = 2, 130  # exit codes of the command


def call_command(words: Sequence[str], options: Mapping[str, Any], sweep: bool) -> list[RunFolder]:
    """Runs `rnnbench train` with `words` and `options`, prints its lines as they come, and returns the folders of its runs.

    Raises BadOption where the command refuses, Failed where a run failed, both with the command's one line.
    """
    given = command_words(words, options, sweep)
    with tempfile.TemporaryDirectory() as place:
        answer = Path(place) / "answer.json"
        flags = ["--multirun"] if sweep else []
        code, said = _run([sys.executable, "-P", "-m", "rnnbench.cli.called", str(answer), *given, *flags])
        told = json.loads(answer.read_text(encoding="utf-8")) if answer.exists() else {}
    if code == BAD_INPUT:
        raise BadOption(told.get("refused") or said)
    if code == INTERRUPTED:
        raise KeyboardInterrupt(said)
    if code:
        raise Failed(said or f"the process ended with exit code {code}")
    return [RunFolder(Path(folder)) for folder in told["folders"]]


def train_in_process(words: Sequence[str], options: Mapping[str, Any]) -> Trained:
    """The run of `rnnbench.train`, loaded."""
    folders = call_command(words, options, sweep=False)
    if not folders:
        raise BadOption("trainer.fast_dev_run=true has passed, and leaves no run to load: leave it out to train one")
    (folder,) = folders
    record = folder.record()
    if record is None:
        raise Failed(f"{folder.path}: another process runs it")
    if record["status"] == "diverged":
        raise Failed(f"{folder.path}: {result_text(record)}")
    return load_run(folder.path)


def sweep_in_process(words: Sequence[str], options: Mapping[str, Any]) -> pyarrow.Table:
    """The runs of `rnnbench.sweep`, as a table."""
    return runs_table(folder.path for folder in call_command(words, options, sweep=True))


def command_words(words: Sequence[str], options: Mapping[str, Any], sweep: bool = False) -> list[str]:
    """The words of the command line: `words` as they are, then `options` as values; in a sweep, a list holds several."""
    for word in words:
        if not isinstance(word, str) or word.startswith("-"):
            raise BadOption(f"{word!r}: OPTION=VALUE is allowed, such as 'task=adding'; flags are for the command line")
    return [*words, *(f"{key}={_value(key, value, sweep)}" for key, value in options.items())]


def _value(key: str, value: object, several: bool) -> str:
    """A value as the command line takes it."""
    if isinstance(value, list | tuple | range):
        found = ",".join(_value(key, item, several=False) for item in value)
        return found if several else f"[{found}]"
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return str(float(value))
    if isinstance(value, str | Path):
        word = plain_word(f"{key}={value}")
        return str(value) if word and word.value == str(value) else quoted(value)
    if value is None or isinstance(value, bool):
        return plain_text(value)
    raise BadOption(f"{key}={value!r:.100}: a number, true or false, text, null or a list of these is allowed")


def _run(command: Sequence[str]) -> tuple[int, str]:
    """(exit code, the last line of what went wrong). An interrupt is handed on; the run then saves a checkpoint."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # an interrupt comes from here, once
    )
    held = ""
    try:
        for line in _lines(process):
            if held:
                show(f"{held}\n")
            held = line.rstrip("\n") if line.startswith(PREFIX) else ""  # perhaps the last: why it failed
            if not held:
                show(line)
        code = process.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        process.wait()
        raise
    if held and not code:
        show(f"{held}\n")
    return code, held.removeprefix(PREFIX)


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """Its output, line by line, until it has ended: workers that outlive a killed command may hold the pipe open for ever."""
    lines: SimpleQueue[str | None] = SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=QUIET)
        except Empty:
            if process.poll() is not None:
                return
            continue
        if line is None:
            return
        yield line
