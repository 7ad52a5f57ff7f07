"""What a run leaves behind: plain files, written so that nothing half-done can be read.

    runs/<task>/<model>/s<seed>-<id8>/
        config.yaml          the resolved settings, with the run's id
        metrics.jsonl        a row a logged step: deterministic values only
        timings.jsonl        the same rows' seconds, speeds and memory
        checkpoints/         <step>-<sha256>.pt, the last two; each carries its own checksum in its name
        lease-<n>            who runs it, the n-th time that it is taken (lease.py)
        failure.json         why the last attempt failed; gone when the next one starts
        vocabulary.json      what the task must keep to read and write where its data are not; absent where that is nothing
        model.safetensors    the weights that validation chose
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

from .lease import Lease, held
from .record import SCHEMA, Config, DamagedRecord, Record, RecordBody, canonical, digest, plain, verified, write_atomically
from .yaml_files import parse_yaml

KEEP = 2  # checkpoints: the newest, and one before it should the newest be damaged
LogRow = dict[str, Any]


@dataclass(frozen=True)
class RunFolder:
    """One run's files. Every method can be called again after a crash at any moment."""

    path: Path
    hold: Lease | None = None

    @property
    def weights(self) -> Path:
        return self.path / "model.safetensors"

    def start(self, config: Config) -> None:
        """Makes the folder and writes config.yaml."""
        self.check()  # before there is a folder again
        (self.path / "checkpoints").mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True)
        self._write("config.yaml", text.encode())
        (self.path / "failure.json").unlink(missing_ok=True)

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
        parts = [config.get(part) for part in ("task", "model")] if isinstance(config, dict) else [None]
        if not all(isinstance(part, dict) and isinstance(part.get("name"), str) for part in parts):
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
            write_atomically(self.path / "failure.json", (canonical({"message": message}) + "\n").encode())

    def failure(self) -> str | None:
        """Why the last attempt failed, or None."""
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            return str(json.loads((self.path / "failure.json").read_text(encoding="utf-8"))["message"])
        return None

    # the log

    def rows(self) -> list[LogRow]:
        """The logged rows, each with its timings; a last line that was cut off is left out."""
        metrics, timings = self._lines("metrics.jsonl"), self._lines("timings.jsonl")
        return [row | time for row, time in zip(metrics, timings, strict=False)]

    def metrics(self) -> list[LogRow]:
        """The deterministic part of the rows."""
        return self._lines("metrics.jsonl")

    def _lines(self, name: str) -> list[LogRow]:
        path = self.path / name
        if not path.exists():
            return []
        *lines, _tail = path.read_bytes().split(b"\n")
        try:
            return [dict(json.loads(line)) for line in lines]
        except (ValueError, TypeError):
            raise DamagedRecord(f"{path}: a line of it is no row of a log") from None

    def check_log(self, offsets: tuple[int, int]) -> None:
        """DamagedRecord where a log does not reach as far as a checkpoint says."""
        for name, offset in zip(("metrics.jsonl", "timings.jsonl"), offsets, strict=True):
            path = self.path / name
            if (path.stat().st_size if path.exists() else 0) < offset:
                raise DamagedRecord(f"{path} is shorter than the checkpoint says")

    # weights and checkpoints

    def save_weights(self, data: bytes) -> None:
        self._write(self.weights.name, data)

    def save_checkpoint(self, step: int, data: bytes) -> None:
        self._write(f"checkpoints/{step:09d}-{hashlib.sha256(data).hexdigest()}.pt", data)
        for old in sorted((self.path / "checkpoints").glob("*.pt"))[:-KEEP]:
            old.unlink(missing_ok=True)

    def checkpoints(self) -> Iterator[tuple[Path, bytes | None]]:
        """Checkpoints from the newest on; None in place of bytes that do not fit the checksum in the name."""
        for path in sorted((self.path / "checkpoints").glob("*.pt"), reverse=True):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue  # set aside meanwhile
            step, _, checksum = path.stem.partition("-")
            yield path, data if step.isdigit() and hashlib.sha256(data).hexdigest() == checksum else None

    def set_aside(self, path: Path) -> None:
        """Takes a checkpoint that cannot be used out of the way of those to come, which may have lower steps."""
        self.check()
        path.replace(path.with_suffix(".unusable"))

    def drop_checkpoints(self) -> None:
        for path in (self.path / "checkpoints").iterdir():
            path.unlink(missing_ok=True)

    # the record

    def finish(self, record: RecordBody) -> Record:
        """Writes record.json, once: FileExistsError if there is one already."""
        body: Record = plain({"schema": SCHEMA, **record})
        body["checksum"] = digest(body)
        text = json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        self._write("record.json", text.encode(), once=True)
        return body

    def record(self) -> Record | None:
        """The record, or None where the run is not finished; DamagedRecord where it cannot be trusted."""
        path = self.path / "record.json"
        try:
            return verified(path.read_bytes(), str(path)) if path.exists() else None
        except DamagedRecord as error:
            raise DamagedRecord(f"{error}; without {self.path} the same command runs it again") from None


class Log:
    """The open log of a run in progress: appends rows, and knows the offsets that a checkpoint keeps."""

    def __init__(self, folder: RunFolder, offsets: tuple[int, int] = (0, 0)):
        folder.check_log(offsets)
        self._check = folder.check
        self._files = []
        for name, offset in zip(("metrics.jsonl", "timings.jsonl"), offsets, strict=True):
            path = folder.path / name
            kept = path.read_bytes()[:offset] if path.exists() else b""  # rows after the checkpoint are made again
            write_atomically(path, kept)  # a new file: one who held the run before can no longer write into it
            self._files.append(open(path, "ab"))  # noqa: SIM115 - closed by close()

    def append(self, step: int, metrics: LogRow, timings: LogRow) -> None:
        self._check()
        for file, row in zip(self._files, (metrics, timings), strict=True):
            row = {"step": step, **row}
            try:
                text = json.dumps(row, ensure_ascii=False, allow_nan=False)
            except ValueError:  # a number that is not finite: rare, and looking for one takes as long as writing
                text = json.dumps(plain(row), ensure_ascii=False)
            file.write(text.encode() + b"\n")
            file.flush()

    def offsets(self) -> tuple[int, int]:
        """Where the logs end, after they are on the disk."""
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())
        metrics, timings = (file.tell() for file in self._files)
        return metrics, timings

    def close(self) -> None:
        for file in self._files:
            file.close()
