"""Mirrors of the record: Weights & Biases.

    tracker = make({"name": "auto", "mode": "auto", "project": "rnnbench"})
    tracker.start(Run(id, "copy_memory/lstm/s0", folder, config), rows)     # rows: the local log so far
    tracker.row(row)                                                        # row i of that log is step i there
    tracker.finish(summary, "completed")

A mirror takes what it is given and answers nothing: the record is the truth, and what a mirror lost can be sent again
from it. Once training has begun, a mirror that fails says so in one line and is silent from then on.
"""

from __future__ import annotations

import configparser
import contextlib
import importlib.util
import json
import netrc
import os
import re
import shutil
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml

from ..console import say
from ..store.yaml_files import parse_yaml
from .tracker import STOPPED, MirrorRow, Run, Tracker, TrackerUnavailable, finite, is_table

ANSWER = 2.0  # seconds for the server to answer at all
START = 15.0  # seconds for it to take a run
FINISH = 8.0  # seconds for it to take what is left at the end
NOTE = "wandb/note.json"  # in a run's folder: its id there, where that is not the usual one


class WandbTracker(Tracker):
    """Weights & Biases: one run there for one here, also when resumed, and no step sent twice.

    `auto` is online if a key is configured and the server answers, else offline; the mode is chosen before the client
    starts, because the client never falls back. Online, a resumed run goes on after the last row that the server has;
    rows that are made again keep there the seconds and speeds of the first time. Offline knows no resume: a restart
    replaces what earlier starts wrote, so that one `wandb sync` of the run's folder gives the whole run. Raises
    TrackerUnavailable where `online` was asked for and cannot be had.
    """

    def __init__(
        self,
        mode: Literal["auto", "online", "offline", "disabled"] = "auto",
        project: str = "rnnbench",
        entity: str | None = None,  # user or team; null is the key's own
        tags: tuple[str, ...] = (),
    ):
        self.mode: str = mode
        self.insists = mode == "online"
        self.patience = FINISH
        self._place: dict[str, Any] = {"project": project, "entity": entity, "tags": list(tags)}
        self._run: Any = None
        self._rows = 0
        package = importlib.util.find_spec("wandb")
        if mode != "disabled" and (package is None or package.origin is None):  # no origin: a folder called wandb
            raise TrackerUnavailable("W&B needs its package: pip install 'wandb>=0.31'; or train with tracker=none")
        if mode in ("auto", "online"):
            settings = _settings()
            if mode == "auto" and settings.get("mode") in ("offline", "disabled"):
                self.mode = settings["mode"]  # `wandb offline`, or WANDB_MODE
                return
            missing = why_silent()
            if missing and self.insists:
                raise TrackerUnavailable(f"W&B cannot be online: {missing}; or use tracker.mode=offline")
            self.mode = "offline" if missing else "online"
            if missing:
                _say(f"W&B offline: {missing}")

    def start(self, run: Run, rows: Iterable[MirrorRow] = ()) -> None:
        self._run, self._rows = None, 0
        if self.mode == "disabled":
            return
        run, self._place = noted_place(run, self._place)
        for segment in own_segments(run):
            shutil.rmtree(segment, ignore_errors=True)  # part of the run: synced later, it would overwrite the whole
        if self.mode == "online":
            try:
                self._run = self._open(run, "online")
            except Exception as error:
                _stop_service()
                if self.insists:
                    raise TrackerUnavailable(f"W&B cannot be online: {_line(error)}; or use tracker.mode=offline") from None
                _say(f"W&B offline: {_line(error)}")
        if self._run is None:
            with self._mirroring():
                self._run = self._open(run, "offline")
        for row in rows:
            self.row(row)

    def _open(self, about: Run, mode: Literal["online", "offline"]) -> Any:
        import wandb

        settings: dict[str, Any] = {"silent": True, "console": "off", "symlink": False, "x_disable_stats": True}
        settings |= {"x_disable_meta": True, "x_save_requirements": False, "host": "", "program": "rnnbench"}  # no paths
        settings |= {"disable_git": True, "disable_code": True}
        os.environ.pop("WANDB_SWEEP_PARAM_PATH", None)  # it would put `model: lstm` over all that stands under `model`
        settings |= {"init_timeout": START, "finish_timeout": self.patience, "finish_timeout_raises": True}
        wandb.setup(wandb.Settings(silent=True))  # signing in prints before it has seen a run's settings
        shown: dict[str, Any] = {"name": about.name, "group": about.group, "job_type": about.job_type, **self._place}
        run = wandb.init(
            id=about.id,
            config=finite(about.config),
            dir=str(about.folder),
            mode=mode,
            resume="allow" if mode == "online" else None,
            reinit="create_new",
            settings=wandb.Settings(**settings),
            **shown,
        )
        run.define_metric("step")
        run.define_metric("*", step_metric="step")
        if mode == "online":
            _say(f"W&B: {run.url}")
        return run

    def row(self, values: MirrorRow) -> None:
        step, self._rows = self._rows, self._rows + 1
        if self._run is not None and step >= self._run.starting_step:  # right after a resume, `run.step` is still 0
            with self._mirroring():
                self._run.log({key: _shown(value) for key, value in finite(values).items()}, step=step)

    def finish(self, summary: MirrorRow, status: str) -> None:
        if self._run is not None:
            with self._mirroring():
                self._run.summary.update(finite({**summary, "status": status}))
                self._run.finish(exit_code=int(status in STOPPED))
            self._run = None

    @contextlib.contextmanager
    def _mirroring(self) -> Iterator[None]:
        """Whatever goes wrong inside closes the mirror, and nothing else."""
        try:
            yield
        except Exception as error:
            self._run = None
            _say(f"W&B has lost this run ({_line(error)}); the local record is whole")
            _stop_service()


# What is there


@dataclass(frozen=True)
class Copy:
    """What the server holds of a run, W&B's own entries and empty places left out."""

    rows: list[dict[str, Any]]
    config: dict[str, Any]
    summary: dict[str, Any]


def read_copy(run: Run, place: Mapping[str, Any]) -> Copy | None:
    """What is there of `run`, None where it is not there at all."""

    def ours(entries: Mapping[str, Any]) -> dict[str, Any]:
        def kept(value: Any) -> bool:
            return value is not None and not (isinstance(value, Mapping) and value.get("_type") == "table-file")

        return {key: value for key, value in entries.items() if not key.startswith("_") and kept(value)}

    there = _find(run, place)
    if there is None:
        return None
    with _asking():
        return Copy([ours(row) for row in there.scan_history(use_cache=False)], there.config, ours(there.summary_metrics))


def _find(run: Run, place: Mapping[str, Any]) -> Any:
    """W&B's own handle of the run there, or None."""
    import wandb

    if gone := why_silent():
        raise ConnectionError(gone)
    with _asking():
        wandb.setup(wandb.Settings(silent=True))
        api = wandb.Api(timeout=int(START))
        try:
            return api.run(f"{place['entity'] or api.default_entity}/{place['project']}/{run.id}")
        except wandb.errors.CommError as error:
            if "Could not find run" in str(error):
                return None
            raise


@contextlib.contextmanager
def _asking() -> Iterator[None]:
    """ConnectionError with one line where the server does not answer as it should."""
    try:
        yield
    except Exception as error:
        _stop_service()
        raise ConnectionError(f"W&B does not say what it holds ({_line(error)})") from None


def noted_place(run: Run, place: Mapping[str, Any]) -> tuple[Run, dict[str, Any]]:
    """`run` and its place as the note in its folder says: an agent of a W&B sweep, or `renew_id`, has chosen another id there.

    An agent looks for the sweep's parameters under their dotted names.
    """
    if os.environ.get("WANDB_SWEEP_ID") and os.environ.get("WANDB_RUN_ID"):
        agent: dict[str, Any] = {name: os.environ.get(f"WANDB_{name.upper()}") for name in NOTED}
        parameters = {}
        if path := os.environ.get("WANDB_SWEEP_PARAM_PATH"):
            given = parse_yaml(Path(path), yaml.CSafeLoader) or {}
            parameters = {key: item["value"] for key, item in given.items() if "." in key and isinstance(item, dict)}
        _note(run, {**agent, "parameters": parameters})
    note = {**dict.fromkeys(NOTED), "parameters": {}, **noted(run)}
    config = {**run.config, **note["parameters"]}
    run = replace(run, id=note["run_id"] or run.id, group=run.group or note["sweep_id"], config=config)
    return run, {**place, **{key: note[key] or place[key] for key in ("project", "entity")}}


NOTED = ("run_id", "sweep_id", "project", "entity")
WORD = re.compile(r"[^/\\#?%:\x00-\x1f]{1,128}")  # what W&B takes for a name


def noted(run: Run) -> dict[str, Any]:
    """What the note in the run's folder says; nothing where there is none, or what is there is no such note."""
    with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
        note = dict(json.loads((run.folder / NOTE).read_text(encoding="utf-8")))
        words = [note.get(name) for name in NOTED] + list(note.get("replaced", []))
        if all(word is None or WORD.fullmatch(word) for word in words) and isinstance(note.get("parameters", {}), dict):
            return note
    return {}


def own_segments(run: Run) -> list[Path]:
    """The folders of offline parts that W&B's client wrote for `run`; none behind a link."""
    place, name = run.folder / "wandb", re.compile(rf"(offline-)?run-\d{{8}}_\d{{6}}-{re.escape(run.id)}")
    if place.is_symlink() or not place.is_dir():
        return []
    return [path for path in place.iterdir() if name.fullmatch(path.name) and path.is_dir() and not path.is_symlink()]


def _note(run: Run, note: Mapping[str, Any]) -> None:
    path = run.folder / NOTE
    path.parent.mkdir(exist_ok=True)
    path.with_suffix(".new").write_text(json.dumps(note), encoding="utf-8")
    path.with_suffix(".new").replace(path)


def renew_id(run: Run) -> None:
    """Gives `run` (as `placed` left it) a new id there: the next start writes it whole, and `clear` removes the old one."""
    stem, _, number = run.id.rpartition("-")
    new = f"{stem}-{int(number) + 1}" if stem and number.isdigit() else f"{run.id}-2"
    note = noted(run)
    _note(run, {**note, "run_id": new, "replaced": [*note.get("replaced", []), run.id]})


def remove_replaced(run: Run, place: Mapping[str, Any]) -> None:
    """Removes what `renew_id` has replaced there; once it is gone, the note forgets it."""
    note = noted(run)
    for old in note.get("replaced", []):
        found = _find(replace(run, id=old), place)
        if found is not None:
            found.delete()
    if note.pop("replaced", []):
        _note(run, note)


def why_silent() -> str:
    """Why the server of the settings cannot be talked to, or nothing."""
    settings = _settings()
    return _silence(settings["base_url"]) if has_key(settings) else "no API key (`wandb login`, or WANDB_API_KEY)"


def has_key(settings: Mapping[str, str]) -> bool:
    """Whether W&B would find a key in its environment, its settings files or a netrc file; it is not kept."""
    if settings.get("api_key") or settings.get("identity_token_file"):
        return True
    places = [os.environ["NETRC"]] if os.environ.get("NETRC") else ["~/.netrc", "~/_netrc"]
    for place in map(os.path.expanduser, places):
        with contextlib.suppress(OSError, netrc.NetrcParseError):
            found = netrc.netrc(place).authenticators(urlsplit(settings["base_url"]).netloc)
            return bool(found and found[2])
    return False


def _settings() -> dict[str, str]:
    """Server, mode and key as W&B itself will find them, without importing it."""
    files = configparser.ConfigParser(interpolation=None)
    places = (os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb", Path(os.environ.get("WANDB_DIR") or ".", "wandb"))
    with contextlib.suppress(configparser.Error, UnicodeDecodeError):
        files.read([Path(place, "settings").expanduser() for place in places], encoding="utf-8")
    found = dict(files["default"]) if files.has_section("default") else {}
    names = ("base_url", "mode", "api_key", "identity_token_file")
    found |= {name: value for name in names if (value := os.environ.get(f"WANDB_{name.upper()}"))}
    return {"base_url": "https://api.wandb.ai", **found}


def _silence(url: str) -> str:
    """Why the server at `url` cannot be talked to, or nothing; decided within `ANSWER` seconds, name look-up included."""
    import ssl
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    found: list[str] = []

    def ask() -> None:
        try:
            urlopen(f"{url}/healthz", timeout=ANSWER).close()
            found.append("")
        except HTTPError as error:
            found.append(f"{url} answers {error.code}" if error.code >= 500 else "")
        except Exception as error:
            reason = error.reason if isinstance(error, URLError) else error
            found.append("" if isinstance(reason, ssl.SSLError) else f"{url} does not answer ({reason})")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER)
    return found[0] if found else f"{url} does not answer within {ANSWER:g} s"


def _stop_service() -> None:
    """Ends the client's background process, which may be dead or still hold the run; the next run starts a new one."""
    with contextlib.suppress(Exception):
        import wandb

        wandb.teardown()


def _shown(value: Any) -> Any:
    """A table of texts as one of the dashboard's; anything else, lists of numbers too, as it is."""
    if not is_table(value):
        return value
    import wandb

    columns = list(value[0])
    return wandb.Table(columns=columns, data=[[row[column] for column in columns] for row in value])


def _line(error: Exception) -> str:
    """What went wrong, in one line, and never with the key in it."""
    said, key = f"{type(error).__name__}: {error}".splitlines()[0], _settings().get("api_key")
    return said.replace(key, "(the key)") if key else said


def _say(line: str) -> None:
    say(line, sys.stderr)
