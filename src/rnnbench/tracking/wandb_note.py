"""What a run's folder knows of its mirror at W&B: its id, its place and its layout there, which `resume` and `sync` go by."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ..console import visible
from ..store.record import write_atomically
from ..store.yaml_files import parse_yaml
from .tracker import LATEST, Run
from .wandb_account import IN_FILES, VARIABLES, WORD, from_variable, wandb_settings
from .wandb_folder import own_segments

NOTE = "wandb/note.json"  # in a run's folder
SILENT, BELIEVED = "wandb-silent.json", 900.0  # in a sweep's folder; seconds for which it is believed
WORDS = ("run_id", "sweep_id", "project", "entity")  # of a note
OF_A_PLACE = ("run_id", "sweep_id", "project", "layout", "online", "replaced", "parameters")
TEXTS = ("group", "name", "job_type", "notes")
DEFAULTS: dict[str, Any] = {"project": "rnnbench", "job_type": "train"}


def read_note(run: Run) -> dict[str, Any]:
    """What the note in the run's folder says; nothing where there is none, or what is there is no such note."""
    with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
        note = dict(json.loads((run.folder / NOTE).read_text(encoding="utf-8")))
        words = [note.get(name) for name in WORDS] + list(note.get("replaced", []))
        fits = all(word is None or WORD.fullmatch(word) for word in words) and isinstance(note.get("parameters", {}), dict)
        fits = fits and all(isinstance(note.get(name, ""), str | None) for name in TEXTS)
        fits = fits and all(isinstance(tag, str) for tag in note.get("tags") or []) and type(note.get("layout", 1)) is int
        if fits:
            return note
    return {}


def write_note(run: Run, note: Mapping[str, Any]) -> None:
    path = run.folder / NOTE
    path.parent.mkdir(exist_ok=True)
    path.with_suffix(".new").write_text(json.dumps(note), encoding="utf-8")
    path.with_suffix(".new").replace(path)


def agents_note() -> dict[str, Any]:
    """What an agent of a W&B sweep has chosen for the run of this process; nothing without an agent.

    The sweep looks for its parameters under their dotted names.
    """
    if not (os.environ.get("WANDB_SWEEP_ID") and os.environ.get("WANDB_RUN_ID")):
        return {}
    parameters = {}
    if path := os.environ.get("WANDB_SWEEP_PARAM_PATH"):
        given = parse_yaml(Path(path), yaml.CSafeLoader) or {}
        parameters = {key: item["value"] for key, item in given.items() if "." in key and isinstance(item, dict)}
    return {**{name: os.environ.get(f"WANDB_{name.upper()}") for name in WORDS}, "parameters": parameters}


def placed_run(run: Run, asked: Mapping[str, Any], recorded: Mapping[str, Any] | None = None) -> tuple[Run, dict[str, Any]]:
    """`run` as it is called there, and its note: project, entity, tags and the like, settled.

    An agent's choice comes first, then what is `asked` for, the note in the run's folder, `recorded` settings of the run, W&B's
    variables, our defaults. Where another project or entity is asked for than the note's, nothing of the run is there yet.
    """
    agent, note = agents_note(), read_note(run)
    elsewhere = any(asked.get(key) and note.get(key) not in (None, asked[key]) for key in IN_FILES)
    if (agent["run_id"] != note.get("run_id")) if agent else elsewhere:
        note = {key: value for key, value in note.items() if key not in OF_A_PLACE}
    chosen = {}
    for name in VARIABLES:
        kept = None if name == "dir" else note.get(name)  # where files are deleted, no file says
        places = (agent.get(name), asked.get(name), kept, (recorded or {}).get(name))
        chosen[name] = next((value for value in places if value), None) or from_variable(name) or DEFAULTS.get(name)
    note = {**note, **agent, **chosen}
    run = replace(
        run,
        id=note.get("run_id") or run.id,
        name=chosen["name"] or run.name,
        group=chosen["group"] or run.group or note.get("sweep_id"),
        config={**run.config, **note.get("parameters", {})},
    )
    return run, note


def told_silence(run: Run) -> str:
    """What another job of the run's sweep has found in the last quarter of an hour: a server that takes no run; or nothing."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        if run.sweep_folder is not None:
            path = run.sweep_folder / SILENT
            said = json.loads(path.read_text(encoding="utf-8"))
            if said["url"] == wandb_settings()["base_url"] and 0 <= time.time() - path.stat().st_mtime < BELIEVED:
                return f"{visible(str(said['why']))[:200]}, as another job of the sweep found"
    return ""


def tell_silence(run: Run, why: str) -> None:
    """Tells the other jobs of the sweep, so that the server's silence costs a sweep its time once."""
    with contextlib.suppress(OSError):
        if run.sweep_folder is not None and run.sweep_folder.is_dir():
            text = json.dumps({"url": wandb_settings()["base_url"], "why": why})
            write_atomically(run.sweep_folder / SILENT, text.encode())


def first_layout(run: Run, note: Mapping[str, Any], has_rows: bool = False) -> int:
    """The layout of its `note`; without one, that of version 0.1 where the run `has_rows` there, or there is no note at all and
    the client has left parts of the run."""
    begun = has_rows or (not read_note(run) and own_segments(run, Path(note.get("dir") or run.folder)))
    return int(note.get("layout") or (1 if begun else LATEST))
