"""What made a run's numbers: code, libraries, commit and hardware."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rnnbench import tasks
from rnnbench.tasks import find_task

from ..config.settings import Settings
from ..kernels.recurrence import steps_are_compiled
from ..models.registry import find_mechanism
from ..plugins.classes import read_plugin
from ..plugins.code_shape import code_digest
from ..plugins.references import Plugin
from ..version import __version__

HERE = Path(__file__).parents[1]
PACKAGES = ("models", "kernels", "networks", "training", "data")  # of ours, what draws weights and batches and trains
FILES = ("groups.py", "run/plan.py", "run/process_settings.py")  # and these


def provenance(settings: Settings) -> dict[str, str]:
    """What the numbers of a run depend on besides its settings: code, libraries, kind of device."""
    ours = [HERE / file for file in FILES] + [path for package in PACKAGES for path in sorted((HERE / package).rglob("*.py"))]
    shared = Path(str(tasks.__file__)).parent
    ours += [shared / "task.py", *sorted((shared / "shared").glob("*.py"))]
    named = [*_files(find_task(settings.task.reference)), *_files(find_mechanism(settings.model.reference))]
    gpu = settings.trainer.accelerator != "cpu" and torch.cuda.is_available()
    return {
        "rnnbench": f"{__version__}, code {code_digest([*ours, *named])[:12]}",
        **{package: importlib.metadata.version(package) for package in ("torch", "numpy", "pytorch-lightning")},
        "machine code": f"by numba {installed_version('numba')}" if steps_are_compiled() else "none",
        "device": torch.cuda.get_device_name() if gpu else "cpu",
    }


def _files(place: Path | Plugin) -> Sequence[Path]:
    return read_plugin(place).files if isinstance(place, Plugin) else [place]


def surroundings(device: torch.device) -> dict[str, Any]:
    """Versions, commit and hardware: recorded, never hashed. No host name and no path."""
    packages = ("rnnbench", "torch", "pytorch-lightning", "hydra-core", "numpy", "numba", "wandb", "datasets")
    versions = {
        "python": platform.python_version(),
        **{name: version for name in packages if (version := installed_version(name))},
    }
    hardware = {
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": processor_name(),
        "device": device.type,
    }
    if device.type == "cuda":
        hardware["gpu"] = torch.cuda.get_device_name(device)
    return {"versions": versions, "commit": code_commit(), "hardware": hardware}


def installed_version(package: str) -> str | None:
    """Its version."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def processor_name() -> str:
    """The processor's name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def code_commit() -> str | None:
    """The commit of this code, with + where files differ from it; None where it was not run from its repository."""
    here = ["git", "-C", str(Path(__file__).parent)]
    try:
        known = subprocess.run(
            [*here, "ls-files", "--error-unmatch", Path(__file__).name], capture_output=True, timeout=5, check=False
        )
        if known.returncode:
            return None
        head = subprocess.run(
            [*here, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        ).stdout.strip()
        dirty = subprocess.run([*here, "diff", "--quiet", "HEAD"], capture_output=True, timeout=5, check=False).returncode
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{head}+" if dirty else head
