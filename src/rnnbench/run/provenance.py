"""What made a run's numbers: code, libraries, commit and hardware."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.metadata
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from rnnbench import tasks
from rnnbench.tasks import task_files

from ..config.settings import Settings
from ..data.hub import cache_folder
from ..kernels.recurrence import steps_are_compiled
from ..models.registry import mechanism_files
from ..store.record import digest, write_atomically
from ..version import __version__

HERE = Path(__file__).parents[1]
PACKAGES = ("models", "kernels", "networks", "training", "data")  # of ours, what draws weights and batches and trains
DIGEST = re.compile("[0-9a-f]{64}")
FILES = ("groups.py", "run/plan.py", "run/process_settings.py")  # and these


def provenance(settings: Settings) -> dict[str, str]:
    """What the numbers of a run depend on besides its settings: code, libraries, kind of device."""
    ours = [HERE / file for file in FILES] + [path for package in PACKAGES for path in sorted((HERE / package).rglob("*.py"))]
    shared = Path(str(tasks.__file__)).parent
    ours += [shared / "task.py", *sorted((shared / "shared").glob("*.py"))]
    named = task_files()[settings.task.name], mechanism_files()[settings.model.name]  # of other packages, too
    gpu = settings.trainer.accelerator != "cpu" and torch.cuda.is_available()
    return {
        "rnnbench": f"{__version__}, code {code_digest([*ours, *named])[:12]}",
        **{package: importlib.metadata.version(package) for package in ("torch", "numpy", "pytorch-lightning")},
        "machine code": f"by numba {installed_version('numba')}" if steps_are_compiled() else "none",
        "device": torch.cuda.get_device_name() if gpu else "cpu",
    }


def code_digest(files: Iterable[Path]) -> str:
    """A digest of what the files do: comments, docstrings and layout are left out. Each file counts once.

    Taking syntax trees apart takes half a second, so what it came to is kept in the cache, by what the files say to the letter.
    """
    sources = [path.read_bytes() for path in dict.fromkeys(files)]
    letters = [hashlib.sha256(source).hexdigest() for source in (Path(__file__).read_bytes(), *sources)]
    kept = cache_folder() / "code" / digest([sys.version, letters])
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if DIGEST.fullmatch(text := kept.read_text(encoding="utf-8")):
            return text
    found = digest([_shape(ast.parse(source)) for source in sources])
    with contextlib.suppress(OSError):  # it is found again
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, found.encode())
    return found


def _shape(node: Any) -> Any:
    """A syntax tree as nested lists, without docstrings and empty fields, so that it is the same for every Python."""
    if isinstance(node, list):
        return [_shape(item) for item in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = dict(ast.iter_fields(node))
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
        fields["body"] = node.body[1:]
    return [type(node).__name__, *([name, _shape(value)] for name, value in sorted(fields.items()) if value not in (None, []))]


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
