"""Which room may import which: the table of the architecture, held against the imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rnnbench
import rnnbench.tasks

SRC = Path(rnnbench.__file__).parent
TASKS = Path(rnnbench.tasks.__file__).parent
HEAVY = {"torch", "pytorch_lightning", "wandb", "datasets", "safetensors"}

# room: (what of ours it may import, what of others it may not)
ROOMS = {
    "budget": ({"options"}, HEAVY | {"hydra"}),
    "options": (set(), HEAVY | {"hydra"}),
    "text": ({"torchtext_bridge"}, {"torch", "torchtext", "jieba", "tokenizers", "pytorch_lightning", "wandb", "hydra"}),
    "torchtext_bridge": (set(), HEAVY | {"hydra", "torchtext"}),
    "hub": (set(), {"torch", "pytorch_lightning", "wandb", "hydra"}),
    "process": ({"kernels"}, {"pytorch_lightning", "wandb", "hydra"}),
    "tracking": ({"options"}, {"torch", "pytorch_lightning", "hydra", "datasets"}),
    "statistics": (set(), HEAVY | {"hydra"}),
    "comparisons": ({"statistics"}, HEAVY | {"hydra"}),
    "verdicts": ({"comparisons", "statistics"}, HEAVY | {"hydra"}),
    "declared": ({"config", "options", "records", "sweeps"}, HEAVY | {"hydra"}),
    "measured": ({"budget", "config", "declared", "entries", "examine", "options", "records", "wording"}, HEAVY | {"hydra"}),
    "reproductions": (
        {"comparisons", "declared", "entries", "measured", "records", "statistics", "verdicts"},
        HEAVY | {"hydra"},
    ),
    "pages": (
        {"comparisons", "declared", "measured", "reproductions", "statistics", "tables", "verdicts", "wording"},
        HEAVY | {"hydra"},
    ),
    "lease": (set(), HEAVY | {"hydra"}),
    "sync": ({"jobs", "records", "tracking"}, HEAVY | {"hydra"}),
    "space": ({"config", "options"}, HEAVY),
    "search": (
        {"options", "__init__", "config", "jobs", "lease", "records", "space", "statistics", "worker"},
        HEAVY | {"hydra"},
    ),
    "records": ({"lease"}, HEAVY | {"hydra"}),
    "jobs": ({"lease", "records"}, HEAVY | {"hydra"}),
    "gpus": (set(), HEAVY | {"hydra"}),
    "server": ({"preload"}, {"hydra"}),
    "pool": ({"gpus", "jobs", "lease", "records", "wording", "worker"}, HEAVY | {"hydra"}),
    "wording": ({"statistics"}, HEAVY | {"hydra"}),
    "entries": ({"config", "options", "records", "wording"}, HEAVY | {"hydra"}),
    "tables": ({"comparisons", "entries", "records", "statistics", "verdicts", "wording"}, HEAVY | {"hydra"}),
    "renderers": ({"tables"}, HEAVY | {"hydra"}),
    "maps": ({"records"}, HEAVY | {"hydra"}),
    "figures": ({"entries", "maps", "records", "renderers", "tables", "wording", "__init__"}, HEAVY | {"hydra"}),
    "completion": ({"config"}, HEAVY),
    "config": ({"budget", "conf", "models", "options", "tasks", "tracking"}, HEAVY),
    "listing": ({"config", "options"}, HEAVY),
    "instruments": ({"models.mechanism", "models.stack", "tasks.task"}, {"pytorch_lightning", "wandb", "hydra", "datasets"}),
    "probes": ({"instruments", "tasks.task"}, {"pytorch_lightning", "wandb", "hydra", "datasets"}),
    "network": (
        {"tasks.task", "models.mechanism", "models.stack", "encoder_decoder", "options"},
        {"pytorch_lightning", "wandb", "hydra", "datasets"},
    ),
    "encoder_decoder": (
        {"tasks.task", "models.mechanism", "models.stack", "network"},
        {"pytorch_lightning", "wandb", "hydra", "datasets"},
    ),
    "baselines": ({"tasks.task", "text"}, {"torch", "sklearn", "scipy", "pytorch_lightning", "wandb", "hydra", "datasets"}),
    "generation": ({"tasks.task", "models.mechanism", "network"}, {"pytorch_lightning", "wandb", "hydra", "datasets"}),
    "batches": ({"tasks.task"}, {"pytorch_lightning", "wandb", "hydra", "datasets"}),
    "training": (
        {"batches", "tasks.task", "generation", "instruments", "models.mechanism", "options"},
        {"wandb", "hydra", "datasets", "safetensors"},
    ),
}


def imports(path: Path, inside_functions: bool = True) -> set[str]:
    """Modules that the file imports, relative ones spelt from the package's root, ours without `rnnbench.`."""
    package = "" if path.parent in (SRC, TASKS) and path.parent == SRC else path.parent.name
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if inside_functions else iter(tree.body)
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level == 1:
                module = ".".join(part for part in ("rnnbench", package, module) if part)
            elif node.level == 2:
                module = f"rnnbench.{module}"
            if module == "rnnbench":
                found |= {f"rnnbench.{alias.name}" for alias in node.names}
            else:
                found.add(module)
    return found


def ours(found: set[str]) -> set[str]:
    return {name.removeprefix("rnnbench").removeprefix(".") or "__init__" for name in found if name.split(".")[0] == "rnnbench"}


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_imports_what_the_table_allows(room):
    allowed, forbidden = ROOMS[room]
    found = imports(SRC / f"{room}.py")
    assert {name for name in ours(found) if name not in ("__version__",)} <= allowed
    assert not {name.split(".")[0] for name in imports(SRC / f"{room}.py", inside_functions=False)} & forbidden


def test_every_room_is_in_the_table():
    free = {
        "__init__",
        "__main__",
        "cli",
        "run",
        "starting",
        "asking",
        "sizes",
        "examine",
        "launcher",
        "worker",
        "preload",
        "devices",
    }  # where rooms meet
    assert {path.stem for path in SRC.glob("*.py")} - free == set(ROOMS)


@pytest.mark.parametrize("path", sorted(TASKS.glob("*.py")), ids=lambda path: path.stem)
def test_a_task_knows_no_model_and_no_config(path):
    shared = {f"tasks.{name}" for name in (*rnnbench.tasks.SHARED, "sequential_digits")}  # its pictures have captions, too
    assert ours(imports(path)) <= shared | {"tasks", "text", "hub", "options"}


@pytest.mark.parametrize("path", sorted((SRC / "models").glob("*.py")), ids=lambda path: path.stem)
def test_a_model_knows_no_task_and_no_config(path):
    for name in ours(imports(path)):
        assert name.split(".")[0] in ("models", "kernels", "options"), name


@pytest.mark.parametrize("path", sorted((SRC / "kernels").glob("*.py")), ids=lambda path: path.stem)
def test_a_kernel_knows_no_policy(path):
    for name in ours(imports(path)):
        assert name.split(".")[0] in ("kernels", "process"), name


@pytest.mark.parametrize(
    "verb",
    [
        ["--help"],
        ["list", "tasks"],
        ["list", "models"],
        ["list", "tasks", "--details"],
        ["list", "tasks", "adding"],
        ["train", "--help"],
        ["compare", "--help"],
    ],
)
def test_light_verbs_import_nothing_heavy(verb):
    code = f"""
import sys
for name in {sorted(HEAVY)!r}:
    sys.modules[name] = None
from rnnbench.cli import main
try:
    sys.exit(main({verb!r}))
except SystemExit as end:
    sys.exit(end.code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
