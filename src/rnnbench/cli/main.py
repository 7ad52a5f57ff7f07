"""The verbs. Nothing heavy is imported before its verb's arguments are known to be good."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from ..console import UNWRITTEN, say
from ..options import BadOption, Failed
from .parser import HOMES, INTERRUPTED, check_runs_folder, error_line, make_parser, refuse, verbs_of


def main(arguments: Sequence[str] | None = None, run: Callable[[list[str]], int] | None = None) -> int:
    """Runs a verb, or `run` with the arguments; the exit code is 0, 1 where something failed, 2 for bad input, 130 after
    Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    os.environ["PYTHONSAFEPATH"] = "1"  # no interpreter that is started from here has the current folder on its path
    ensure_home()
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:  # closed: `>&-`
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115, open until the end
        elif hasattr(stream, "reconfigure") and not stream.closed and stream.errors == "strict":
            stream.reconfigure(errors="replace")  # of an encoding without our letters
    try:
        code = _exit_code(words, run or _run)
    except SystemExit:  # of argparse, after --help
        if not UNWRITTEN:
            raise
        code = 1
    if UNWRITTEN:
        say(error_line(f"could not write the output: {UNWRITTEN[0]}"), sys.stderr)
        UNWRITTEN.clear()
        return code or 1
    return code


def _exit_code(words: list[str], run: Callable[[list[str]], int]) -> int:
    """Runs the verb; says in one line what went wrong."""
    try:
        with noted_interrupts() as asked:
            try:
                return run(words)
            except Exception as error:  # OmegaConf makes others of an interrupt
                if asked:
                    raise KeyboardInterrupt from error
                raise
    except BadOption as error:
        return refuse(str(error))
    except Failed as error:
        say(error_line(str(error)), sys.stderr)
        return 1
    except BrokenPipeError:  # `rnnbench list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as stopped:
        say(error_line("; ".join(["interrupted", *map(str, stopped.args)])), sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR"):
            raise
        say(error_line(f"{type(error).__name__}: {error} (HYDRA_FULL_ERROR=1 shows where)"), sys.stderr)
        return 1


@contextlib.contextmanager
def noted_interrupts() -> Iterator[list[int]]:
    """A list that Ctrl-C adds to before it raises KeyboardInterrupt, where Python's own handler is set."""
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        signal.default_int_handler(number, frame)

    mine = (
        threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if mine:
        signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        if mine:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def ensure_home() -> None:
    """Sets HOME where neither it nor an entry of the user's says where home is, as for any user id in a container.

    What we call, and what that calls, keeps settings and caches there.
    """
    try:
        Path.home()
    except RuntimeError:
        home = Path(tempfile.gettempdir()) / f"rnnbench-{os.getuid()}"
        with contextlib.suppress(OSError):
            home.mkdir(mode=0o700, exist_ok=True)
        if not home.is_dir() or home.is_symlink() or home.stat().st_uid != os.getuid():  # somebody else's
            home = Path(tempfile.mkdtemp(prefix="rnnbench-"))
        os.environ["HOME"] = str(home)
    try:
        getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        os.environ["LOGNAME"] = str(os.getuid())


def _run(words: list[str]) -> int:
    """Runs the verb that `words` begin with. Its file is found by name, and only that one is imported."""
    verb = words[0] if words else ""
    if verb == "complete":
        return int(_command("completion", verb)(words[1:]))
    check_runs_folder(verb, words[1:])
    if verb == "train" or (verb == "estimate" and not {"-h", "--help"} & set(words)):
        return int(_command(HOMES[verb], verb)(words[1:]))  # whose words are Hydra's
    top = make_parser()
    own = verbs_of(top).get(verb)  # whose flags and words may stand in any order
    options = own.parse_intermixed_args(words[1:]) if own else top.parse_args(words)
    return int(_command(HOMES[options.verb], options.verb)(options))


def _command(home: str, verb: str) -> Callable[[Any], int]:
    command: Callable[[Any], int] = getattr(import_module(f".{home}", __package__), f"{verb.replace('-', '_')}_command")
    return command


if __name__ == "__main__":
    sys.exit(main())
