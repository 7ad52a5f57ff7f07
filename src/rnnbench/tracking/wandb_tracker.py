"""Mirrors of the record: Weights & Biases.

A mirror takes what it is given and answers nothing: the record is the truth, and what a mirror lost can be sent again
from it. Once training has begun, a mirror that fails says so in one line and is silent from then on.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from ..options import AboveZero
from .layout import Presenter
from .tracker import STOPPED, MirrorRow, NotSetUp, Picture, Run, Tracker, TrackerUnavailable, finite
from .wandb_account import client, error_text, say_error, stop_service, unavailable, wanted_mode, why_silent
from .wandb_artifacts import keep_artifacts
from .wandb_folder import link_segment, own_segments
from .wandb_media import as_media, is_media
from .wandb_note import first_layout, placed_run, tell_silence, told_silence, write_note

START = 15.0  # seconds for the server to take a run


class WandbTracker(Tracker):
    """Weights & Biases: one run there for one here, also when resumed, and no step sent twice.

    `auto` is online if a key is configured and the server answers, else offline; the mode is chosen before the client
    starts, because the client never falls back. Online, a resumed run continues after the last row that the server has;
    rows that are made again keep there the seconds and speeds of the first time. Offline knows no resume: a restart
    replaces what earlier starts wrote, so that one `wandb sync` of the run's folder gives the whole run. Raises
    TrackerUnavailable where `online` was asked for and cannot be had, BadOption for a mode that W&B has not.
    """

    def __init__(
        self,
        mode: Literal["auto", "online", "offline", "disabled"] = "auto",  # auto: WANDB_MODE, else online if it can be
        project: str | None = None,  # W&B project; null: WANDB_PROJECT, else rnnbench
        entity: str | None = None,  # user or team; null: WANDB_ENTITY, else that of the API key
        tags: tuple[str, ...] = (),  # tags of the run; []: WANDB_TAGS
        group: str | None = None,  # group of the run; null: WANDB_RUN_GROUP, else the sweep
        job_type: str | None = None,  # job type of the run; null: WANDB_JOB_TYPE, else train
        notes: str | None = None,  # notes on the run; null: WANDB_NOTES
        finish_seconds: AboveZero = 8.0,  # seconds that the end of a run waits for the server
        histograms: bool = False,  # log gates as histograms
        system_metrics: bool = False,  # log W&B's measures of the machine
        artifacts: Literal["none", "best"] = "none",  # best: upload weights, settings and record of a finished run
    ):
        self.mode: str = mode
        self.insists = mode == "online"
        self.patience = finish_seconds
        self.histograms, self._measures_system = histograms, system_metrics
        self.recorded: dict[str, Any] = {}  # place of a run that was recorded before, below the note in its folder
        self._asked = {"project": project, "entity": entity, "tags": list(tags), "group": group}
        self._asked |= {"job_type": job_type, "notes": notes}
        self._keeps_best = artifacts == "best"
        self._about = Run("", "", Path(), {})
        self._run: Any = None
        self._rows, self._step = 0, 0  # how many there are, and the training step of the last
        package = importlib.util.find_spec("wandb")
        if mode != "disabled" and (package is None or package.origin is None):  # no origin: a folder called wandb
            raise NotSetUp("W&B needs its package: pip install 'wandb>=0.31'; or train with tracker=none")
        if mode in ("auto", "online"):
            self._choose_mode()

    def _choose_mode(self) -> None:
        wanted, where = wanted_mode() if not self.insists else ("", "")
        if wanted in ("offline", "disabled"):
            self.mode = wanted
            if wanted == "offline":
                say_error(f"W&B offline: {where}")
            return
        missing = why_silent()
        if missing and self.insists:
            raise unavailable(f"W&B cannot be online: {missing}")
        self.mode = "offline" if missing else "online"
        if missing:
            say_error(f"W&B offline: {missing}")

    def start(self, run: Run) -> None:
        self._run, self._rows, self._step = None, 0, 0
        if self.mode == "disabled":
            return
        run, self._note = placed_run(run, self._asked, self.recorded)
        self._about = run
        place = Path(self._note["dir"] or run.folder)
        self.layout = first_layout(run, self._note)
        for segment in own_segments(run, place):
            shutil.rmtree(segment, ignore_errors=True)  # part of the run: synced later, it would overwrite the whole
        if self.mode == "online":
            self._run = self._open_online(run, place)
        if self._run is None:
            with self._mirroring():
                self._run = self._open(run, place, "offline")

    def _open_online(self, run: Run, place: Path) -> Any:
        """The run there; None, with a line, where the server takes none and the user did not insist."""
        began = time.monotonic()
        if not (why := told_silence(run)):
            try:
                return self._open(run, place, "online")
            except Exception as error:
                stop_service()
                why = error_text(error)
                if time.monotonic() - began >= START:
                    why = f"the server takes no run within {START:g} s"
                    tell_silence(run, why)
        if self.insists:
            raise TrackerUnavailable(f"W&B cannot be online: {why}")
        say_error(f"W&B offline: {why}")
        return None

    def _open(self, about: Run, place: Path, mode: Literal["online", "offline"]) -> Any:
        settings: dict[str, Any] = {
            "silent": True,
            "console": "off",
            "symlink": False,
            "x_disable_stats": not self._measures_system,
        }
        settings |= {"x_disable_meta": True, "x_save_requirements": False, "host": "", "program": "rnnbench"}  # no paths
        settings |= {"disable_git": True, "disable_code": True}
        os.environ.pop("WANDB_SWEEP_PARAM_PATH", None)  # it would put `model: lstm` over all that stands under `model`
        settings |= {"init_timeout": START, "finish_timeout": self.patience, "finish_timeout_raises": True}
        named = {"name": about.name, "tags": self._note["tags"] or [], "notes": self._note["notes"]}
        grouped = {"group": about.group, "job_type": self._note["job_type"]}
        is_there = mode == "online" and self._note.get("online")  # what somebody changed there stays
        with client() as wandb:
            run = wandb.init(
                id=about.id,
                project=self._note["project"],
                entity=self._note["entity"],
                dir=str(place),
                mode=mode,
                resume="allow" if mode == "online" else None,
                reinit="create_new",
                settings=wandb.Settings(**settings),
                **({} if is_there else grouped),
                **({} if mode == "online" else named),
            )
        if run.resumed and run.starting_step > 0:
            self.layout = dict(run.config).get("layout") or first_layout(about, self._note, has_rows=True)
        elif mode == "online":
            run.name, run.tags, run.notes = named["name"], named["tags"], named["notes"] or ""
        run.config.update(Presenter(about, self.layout).config(), allow_val_change=True)
        self._define(run, about)
        self._note |= {"layout": self.layout, "online": mode == "online" or self._note.get("online", False)}
        if mode == "online":
            self._note["entity"] = run.entity
            say_error(f"W&B: {run.url}")
        write_note(about, self._note)
        link_segment(Path(run.dir).parent)
        return run

    def _define(self, run: Any, about: Run) -> None:
        """The x axis of all columns, and which end of the headline counts."""
        run.define_metric("step")
        run.define_metric("*", step_metric="step")
        if self.layout > 1 and about.headline:
            run.define_metric(f"validation/{about.headline}", step_metric="step", summary=about.direction)

    def row(self, values: MirrorRow) -> None:
        step, self._rows, self._step = self._rows, self._rows + 1, values["step"]
        if self._run is not None and step >= self._run.starting_step:  # right after a resume, `run.step` is still 0
            with self._mirroring():
                self._run.log({key: as_media(value) for key, value in values.items()}, step=step)

    def append(self, values: MirrorRow) -> None:
        """A row that the server lacks, after all that it has."""
        self._step = values["step"]
        if self._run is not None:
            with self._mirroring():
                self._run.log({key: as_media(value) for key, value in values.items()})

    def finish(self, summary: MirrorRow, status: str) -> None:
        if self._run is not None:
            with self._mirroring():
                media = {key: as_media(value) for key, value in summary.items() if isinstance(value, Picture)}
                if self._rows > self._run.starting_step:  # the last row goes out first, else it would stand in the summary
                    self._run.log(media, step=self._rows - 1, commit=True)
                elif media:  # all rows were there before
                    self._run.log({"step": self._step, **media})
                plain = {key: value for key, value in finite(summary).items() if not is_media(value)}
                self._run.summary.update({**plain, "status": status})
                keeps = self._keeps_best and status == "finished"
                if keeps and (why := keep_artifacts(self._run, self._about, self.patience / 2)):
                    say_error(f"W&B has not taken the artifacts ({why})")
                self._run.finish(exit_code=int(status in STOPPED))
            self._run = None

    @contextlib.contextmanager
    def _mirroring(self) -> Iterator[None]:
        """Whatever goes wrong inside closes the mirror, and nothing else."""
        try:
            yield
        except Exception as error:
            self._run = None
            say_error(f"W&B has lost this run ({error_text(error)}); the local record is whole")
            stop_service()
