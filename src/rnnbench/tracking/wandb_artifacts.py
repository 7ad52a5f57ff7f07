"""What W&B keeps as artifacts where `tracker.artifacts=best` asks for it: what a run came to, and which data it came from."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

import yaml

from .tracker import Run, finite
from .wandb_account import error_text


def keep_artifacts(run: Any, about: Run, seconds: float) -> str:
    """Declares the data as the run's input and keeps what came of it; says what went wrong, nothing where all is well.

    Most of it goes on in the client's own process; what the client asks the server before, without an end where the server is
    silent, is given up after `seconds`.
    """
    wrong: list[str] = []

    def keep() -> None:
        for step in (declare_data, log_best):
            try:
                step(run, about)
            except Exception as error:
                wrong.append(error_text(error))

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    thread.join(seconds)
    return f"no answer within {seconds:g} s" if thread.is_alive() else "; ".join(wrong)


def declare_data(run: Any, about: Run) -> None:
    """Declares the data as an input of `run`: an artifact that holds their fingerprint, one for all runs on the same data.

    Nothing is declared where data are generated, nor offline, where the client allows it not.
    """
    import wandb

    fingerprint = about.facts.get("data")
    if not fingerprint or run.offline:
        return
    facts = {"task": about.config["task"]["name"], "fingerprint": fingerprint}
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", f"data-{fingerprint}")[:128]
    data = wandb.Artifact(name, type="dataset", metadata=facts)
    with data.new_file("data.json", encoding="utf-8") as file:
        json.dump(facts, file)
    run.use_artifact(data)


def log_best(run: Any, about: Run) -> None:
    """Keeps weights, settings and record there as an artifact of `run`; its metadata name the setting and the data."""
    import wandb

    facts = {"setting": about.facts.get("setting"), "data": about.facts.get("data")}
    best = wandb.Artifact(f"best-{about.id}", type="model", metadata=facts)
    for name in ("model.safetensors", "record.json"):
        if (path := about.folder / name).is_file():
            best.add_file(str(path), policy="immutable", skip_cache=True)
    with best.new_file("config.yaml", encoding="utf-8") as file:
        yaml.safe_dump(finite(about.config), file, sort_keys=False, allow_unicode=True)
    run.log_artifact(best, aliases=["best"])
