"""What W&B keeps as artifacts where `tracker.artifacts=best` asks for it: what a run came to, and which data it came from."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import yaml

from .tracker import Run, finite


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


def declare_data(run: Any, about: Run, seconds: float) -> None:
    """Declares the data as an input of `run`: an artifact that holds their fingerprint, one for all runs on the same data.

    Nothing is declared where data are generated, nor offline, where the client allows it not. Raises wandb's WaitTimeoutError
    where the server has not answered within `seconds`.
    """
    import wandb

    class Data(wandb.Artifact):  # type: ignore[misc]
        def wait(self, timeout: int | None = None) -> Any:
            """`use_artifact` waits without an end; this wait has one."""
            return super().wait(math.ceil(seconds))

    fingerprint = about.facts.get("data")
    if not fingerprint or run.offline:
        return
    facts = {"task": about.config["task"]["name"], "fingerprint": fingerprint}
    data = Data(re.sub(r"[^A-Za-z0-9_.-]", "-", f"data-{fingerprint}")[:128], type="dataset", metadata=facts)
    with data.new_file("data.json", encoding="utf-8") as file:
        json.dump(facts, file)
    run.use_artifact(data)
