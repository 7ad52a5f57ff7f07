"""What a run leaves behind: plain files, written so that nothing half-done can be read.

    runs/<task>/<model>/s<seed>-<id8>/
        config.yaml          the resolved settings, with the run's id
        metrics.jsonl        a row a logged step: deterministic values only
        timings.jsonl        the same rows' seconds, speeds and memory
        checkpoints/         <step>-<sha256>.pt, the last two; each carries its own checksum in its name. Other files there
                             are not ours and stay; where it is a link, nothing behind it is deleted
        lease-<n>            who runs it, the n-th time that it is taken (lease.py)
        failure.json         why the last attempt failed; gone when the next one starts
        vocabulary.json      what the task must keep to read and write where its data are not; absent where that is nothing
        model.safetensors    the weights that validation chose
        predictions.csv      with keep_predictions=true: the answers on the test split, with probabilities
        confusion.json       of a task whose answers are classes: how often each was answered where which was right
        profile.txt          where the time went, of a run with trainer.profiler
        record.json          the result: written once, atomically, with a checksum

The record is the truth; every table, figure and dashboard is a function of it. Torch is never imported.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from ..console import masked
from .bounds import is_plain
from .confusion import ConfusionMatrix, checked_confusion
from .lease import Lease, held
from .log import LOGS, METRICS, Log, LogRow, check_log, logged_rows
from .own_files import CHECKPOINT, HALF_WRITTEN, SET_ASIDE, own_files, remove_files
from .record import (
    SCHEMA,
    Config,
    DamagedRecord,
    Parsed,
    Record,
    RecordBody,
    canonical,
    digest,
    parse_record,
    plain,
    record_text,
    verified,
    write_atomically,
)
from .yaml_files import parse_yaml

KEEP = 2  # checkpoints: the newest, and one before it should the newest be damaged


def _is_choice(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("name"), str)


def _is_text_or_missing(value: object) -> bool:
    return value is None or isinstance(value, str)


SETTINGS: dict[str, Callable[[object], bool]] = {  # of a config.yaml, as far as runs are found, shown and compared by them
    "task": _is_choice,
    "model": _is_choice,
    **dict.fromkeys(
        ("network", "train", "budget", "trainer", "tracker"), lambda value: value is None or isinstance(value, dict)
    ),
    **dict.fromkeys(("id", "setting", "sweep"), _is_text_or_missing),
    "seed": lambda value: value is None or type(value) is int,
}


@dataclass(frozen=True)
class RunFolder:
    """One run's files. Every method can be called again after a crash at any moment."""

    path: Path
    hold: Lease | None = None

    @property
    def weights(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def place(self) -> Path:
        """The folder of its checkpoints."""
        return self.path / "checkpoints"

    def half_written(self) -> list[Path]:
        """What killed processes left of files that they had not finished; the run's holder may remove it."""
        return [path for folder in (self.path, self.place) for path in own_files(folder, HALF_WRITTEN)]

    def start(self, config: Config) -> None:
        """Makes the folder, removes what the last attempt left half-written or came to, and writes config.yaml."""
        self.check()  # before there is a folder again
        self.place.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            remove_files(self.half_written())
        text = yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True)
        self._write("config.yaml", text.encode())
        for name in ("failure.json", "confusion.json", "predictions.csv", "profile.txt"):
            (self.path / name).unlink(missing_ok=True)

    def keep(self, kept: Mapping[str, object]) -> None:
        """Writes vocabulary.json, if there is anything in it."""
        if kept:
            self._write("vocabulary.json", json.dumps(kept, ensure_ascii=False).encode())

    def kept(self) -> dict[str, Any] | None:
        """What `keep` wrote; None where there is nothing of the kind."""
        with contextlib.suppress(OSError, ValueError):
            kept = json.loads((self.path / "vocabulary.json").read_text(encoding="utf-8"))
            return kept if isinstance(kept, dict) else None
        return None

    def config(self) -> Config:
        """The settings in config.yaml; DamagedRecord where the file is none of ours."""
        path = self.path / "config.yaml"
        try:
            config = parse_yaml(path, yaml.CSafeLoader)
        except ValueError as error:
            raise DamagedRecord(f"{path}: {error}") from None
        if not (
            is_plain(config) and isinstance(config, dict) and all(fits(config.get(name)) for name, fits in SETTINGS.items())
        ):
            raise DamagedRecord(f"{path}: no settings of a run")
        return config

    @contextlib.contextmanager
    def lease(self, say: Callable[[str], None] = lambda _: None) -> Iterator[RunFolder]:
        """Holds the run for this process and yields the folder whose writes check that; raises Held where another holds it."""
        with held(self.path, say) as lease:
            yield replace(self, hold=lease)

    def check(self) -> None:
        """Raises Lost where the lease that this was opened with is over."""
        if self.hold is not None:
            self.hold.check()

    def _write(self, name: str, data: bytes, once: bool = False) -> None:
        """write_atomically inside the folder, by its holder only."""
        self.check()
        try:
            write_atomically(self.path / name, data, once)
        except FileNotFoundError:  # whoever took the run over tidied up what was half written, or the folder was removed
            self.check()
            raise

    # failures

    def fail(self, message: str) -> None:
        """Notes why this attempt ended, for `status`; where even that cannot be written, nothing is."""
        with contextlib.suppress(OSError):
            text = canonical({"message": masked(message)}) + "\n"
            write_atomically(self.path / "failure.json", text.encode())

    def failure(self) -> str | None:
        """Why the last attempt failed, or None."""
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            return str(json.loads((self.path / "failure.json").read_text(encoding="utf-8"))["message"])
        return None

    # the log

    def rows(self) -> list[LogRow]:
        """The logged rows, each with its timings; a last line that was cut off is left out."""
        return list(self.each_row())

    def each_row(self) -> Iterator[LogRow]:
        """The rows one by one; nothing is read before the first is asked for, and no more than one is held."""
        for row, times in zip(*(logged_rows(self.path / name) for name in LOGS), strict=False):
            yield row | times

    def metrics(self) -> list[LogRow]:
        """The deterministic part of the rows."""
        return list(logged_rows(self.path / METRICS))

    def check_log(self, offsets: tuple[int, int]) -> None:
        """DamagedRecord where a log does not reach as far as a checkpoint says, or has no end of a line there."""
        check_log(self.path, offsets)

    def open_log(self, offsets: tuple[int, int] = (0, 0)) -> Log:
        """The log, to be continued at the offsets that a checkpoint keeps; rows behind them are dropped."""
        return Log(self.path, self.check, offsets)

    # weights and checkpoints

    def save_weights(self, data: bytes) -> None:
        self._write(self.weights.name, data)

    def save_checkpoint(self, step: int, data: bytes) -> None:
        self._write(f"{self.place.name}/{step:09d}-{hashlib.sha256(data).hexdigest()}.pt", data)
        remove_files(self.checkpoint_files()[:-KEEP])

    def checkpoint_files(self) -> list[Path]:
        """Its checkpoints, that of the highest step last; what has another name is not one."""
        return sorted(own_files(self.place, CHECKPOINT), key=checkpoint_step)

    def checkpoints(self) -> Iterator[tuple[Path, bytes | None]]:
        """Checkpoints from the newest on; None in place of bytes that do not fit the checksum in the name."""
        for path in reversed(self.checkpoint_files()):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue  # set aside meanwhile
            yield path, data if hashlib.sha256(data).hexdigest() == path.stem.partition("-")[2] else None

    def set_aside(self, path: Path) -> None:
        """Takes a checkpoint that cannot be used out of the way of those to come, which may have lower steps.

        Behind a link it stays: it may be another run's.
        """
        self.check()
        if not self.place.is_symlink():
            path.replace(path.with_suffix(".unusable"))

    def drop_checkpoints(self) -> None:
        """Removes its checkpoints, used or set aside; OSError where one cannot be removed, after all others."""
        remove_files(own_files(self.place, CHECKPOINT, SET_ASIDE, HALF_WRITTEN))

    # answers on the test split

    @property
    def predictions(self) -> Path:
        return self.path / "predictions.csv"

    def save_predictions(self, data: bytes) -> None:
        self._write(self.predictions.name, data)

    # the confusion matrix

    def save_confusion(self, matrix: ConfusionMatrix) -> None:
        self._write("confusion.json", json.dumps(matrix, ensure_ascii=False).encode())

    def confusion(self) -> ConfusionMatrix | None:
        """What `save_confusion` wrote, None where there is none; DamagedRecord where the file holds something else."""
        path = self.path / "confusion.json"
        try:
            return checked_confusion(json.loads(path.read_text(encoding="utf-8")), str(path))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            raise error if isinstance(error, DamagedRecord) else DamagedRecord(f"{path}: no JSON") from None

    # the profile

    def save_profile(self, text: str) -> Path:
        self._write("profile.txt", text.encode())
        return self.path / "profile.txt"

    # the record

    def finish(self, record: RecordBody) -> Record:
        """Writes record.json, once: FileExistsError if there is one already. An error once it stands there whole is none."""
        body: Record = plain({"schema": SCHEMA, **record})
        body["checksum"] = digest(body)
        text = record_text(body)
        try:
            self._write("record.json", text.encode(), once=True)
        except FileExistsError:
            raise
        except OSError as error:  # of the last step perhaps, when the folder itself is brought to the disk
            with contextlib.suppress(OSError):
                if (self.path / "record.json").read_bytes() == text.encode():
                    return body
            raise error
        return body

    def record(self, parse: Callable[[str | bytes], Parsed] = parse_record) -> Record | None:
        """The record, or None where the run is not finished; DamagedRecord where it cannot be trusted."""
        path = os.path.join(self.path, "record.json")
        try:
            if not os.path.isfile(path):
                if not os.path.lexists(path):
                    return None
                raise DamagedRecord(f"{path}: no file")  # a link to nothing or to itself, a folder, a pipe
            with open(path, "rb") as file:
                return verified(file.read(), path, parse)
        except DamagedRecord as error:
            raise DamagedRecord(f"{error}; remove {self.path}, and the same command runs it again") from None


def checkpoint_step(path: Path) -> int:
    """The training step that a checkpoint's name tells."""
    return int(path.name.partition("-")[0])
