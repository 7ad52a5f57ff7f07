"""The laws of the house: who may import whom, and what no second file may define."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rnnbench
from tests.support.house import ORDER, House

ROOT = Path(rnnbench.__file__).parents[2]
HOUSE = House(ROOT)
HEAVY = {"torch", "pytorch_lightning", "wandb", "datasets", "hydra"}

GROUND = {"options", "signatures", "groups", "console", "version"}
MODELS = {"models", "kernels", "plugins"}
SETTINGS = {"config", "tasks", "models", "tracking", "store", "plugins"}
# package: (the packages of ours that importing all of it may pull in beside the ground, what of others it may not)
RULES: dict[str, tuple[set[str], set[str]]] = {
    **{name: (set(), HEAVY | {"numpy"}) for name in sorted(GROUND)},
    "kernels": (set(), HEAVY - {"torch"}),
    "data": (set(), HEAVY | {"torchtext", "jieba", "tokenizers"}),
    "hub": ({"data"}, HEAVY | {"torchtext", "jieba", "tokenizers"}),
    "text": ({"data"}, HEAVY | {"torchtext", "jieba", "tokenizers"}),
    "store": (set(), HEAVY | {"numpy"}),
    "plugins": ({"data", "store"}, HEAVY),
    "tasks": ({"data", "plugins"}, HEAVY - {"torch"}),
    "baselines": ({"tasks", "data", "plugins"}, (HEAVY - {"torch"}) | {"sklearn", "scipy"}),
    "models": ({"kernels", "plugins"}, HEAVY - {"torch"}),
    "tracking": ({"store", "plugins"}, HEAVY),
    "laws": ({*MODELS, "tasks", "data"}, HEAVY - {"torch"}),
    "config": (SETTINGS, HEAVY - {"hydra"}),
    "networks": ({*MODELS, "tasks", "data"}, HEAVY - {"torch"}),
    "training": ({"networks", *MODELS, "tasks", "data"}, HEAVY - {"torch", "pytorch_lightning"}),
    "run": ({*SETTINGS, "networks", *MODELS, "data", "laws"}, HEAVY - {"torch"}),
    "analysis": (SETTINGS, HEAVY),
    "reproduction": ({"analysis", *SETTINGS}, HEAVY - {"hydra"}),
    "launch": ({"run", "analysis", *SETTINGS}, HEAVY - {"hydra"}),
    "interface": ({"launch", "run", "networks", *MODELS, "data", "analysis", "laws", *SETTINGS}, HEAVY - {"torch", "hydra"}),
    "testing": ({"laws", *MODELS, "tasks", "data"}, HEAVY - {"torch"}),
    "search": ({"launch", "run", "analysis", *SETTINGS}, HEAVY - {"hydra"}),
    "card": (
        {*("laws", "benchmarks", "search", "launch", "run", "training", "networks", "reproduction", "analysis", "data")}
        | {*MODELS, *SETTINGS},
        HEAVY - {"torch", "hydra", "pytorch_lightning"},
    ),
}
FREE = {"benchmarks", "cli", "__init__", "__main__"}  # where packages meet
APART = {"launch.server", "launch.jobs", "run.training_run", "kernels.lstm_triton"}  # processes of their own; Lightning; Triton
PULLED_IN = """
import importlib, json, sys
sys.modules.pop("torchtext", None)
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps([name for name in sys.modules if sys.modules[name] is not None]))
"""


@pytest.mark.parametrize("package", RULES)
def test_importing_a_package_pulls_in_what_its_rule_allows(package: str) -> None:
    """Transitively, in a fresh process."""
    own = [name.removesuffix(".__init__") for name in HOUSE.trees if name.split(".")[0] == package and name not in APART]
    words = json.dumps([f"rnnbench.{name}" for name in own])
    done = subprocess.run([sys.executable, "-c", PULLED_IN, words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    allowed, forbidden = RULES[package]
    ours = {name.split(".")[1] for name in loaded if name.startswith("rnnbench.")} - {"conf", "sweeps"}
    assert ours <= allowed | GROUND | {package}
    assert not {name.split(".")[0] for name in loaded} & forbidden


def test_every_package_has_a_rule() -> None:
    assert {name.split(".")[0] for name in HOUSE.trees} == {*RULES, *FREE} == set(ORDER)


def test_a_package_file_is_empty() -> None:
    """Else importing one file of a package would import others. The root and tasks hold what is public."""
    full = {name for name, tree in HOUSE.trees.items() if name.endswith("__init__") and len(tree.body) > 1}
    assert full <= {"__init__", "tasks.__init__"}


def test_the_house_is_as_simple_as_it_was() -> None:
    """Ratchets: they may fall. What is counted is said in support/house.py, which also lists it."""
    assert len(HOUSE.modules()) <= 10  # `rnnbench.testing` is a public name
    assert HOUSE.circles() == []
    assert HOUSE.upwards() == []
    assert len(HOUSE.named_twice()) <= 6, HOUSE.named_twice()


def test_every_target_of_the_makefile_does_something() -> None:
    """A name in .PHONY without a rule is a target that says "Nothing to be done" and ends with 0."""
    text = (ROOT / "Makefile").read_text()
    (named,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    ruled = set(re.findall(r"^(\w[\w-]*):[^=\n]*\n(?:\t)", text, re.MULTILINE))
    assert set(named.split()) == ruled


def test_no_module_is_called_as_a_library() -> None:
    libraries = {name.partition("==")[0].lower() for name in (ROOT / "constraints.txt").read_text(encoding="utf-8").split()}
    """A task bears the name of what it is of: `xml`."""
    names = {name.rpartition(".")[2] for name in HOUSE.trees if not name.startswith("tasks.")} - {"__init__", "__main__"}
    assert not names & {*libraries, *sys.stdlib_module_names}


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
        ["complete"],
    ],
)
def test_light_verbs_import_nothing_heavy(verb: list[str]) -> None:
    code = f"""
import sys
for name in {sorted({*HEAVY, "safetensors"} - {"hydra"})!r}:
    sys.modules[name] = None
import os
os.environ["COMP_LINE"] = "rnnbench train task=a"
from rnnbench.cli.main import main
try:
    sys.exit(main({verb!r}))
except SystemExit as end:
    sys.exit(end.code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
