"""Cell, task and entry points of the tutorials are whole files: extracted, installed, trained, and held against the laws."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rnnbench.cli.main import main
from rnnbench.models.registry import mechanism_class
from rnnbench.tasks import task_class
from rnnbench.testing import check_cell, check_task
from tests.support.documents import ROOT, code_blocks
from tests.support.plugins import Site, forget

TUTORIALS = ROOT / "docs" / "tutorials"
QUICK = ["task.length=6", "task.sequences=20", "train.steps=3", "train.batch_size=4", "model.hidden_size=4", "tracker=none"]


@pytest.fixture
def extracted() -> Path:
    """The folder with the files of the tutorials."""
    blocks = [block for page in ("cell.md", "task.md") for block in code_blocks(TUTORIALS / page) if block.file]
    assert [block.file for block in blocks] == ["my_cell.py", "my_task.py", "pyproject.toml"]
    for block in blocks:
        Path(block.file).write_text(block.text, encoding="utf-8")
        code = block.text.split('"""')[-1] if block.file.endswith(".py") else ""
        assert len([line for line in code.splitlines() if line.strip()]) <= 24
    return Path.cwd()


def test_they_train_as_files_and_keep_the_laws(extracted: Path, capfd: pytest.CaptureFixture[str]) -> None:
    forget()
    assert main(["train", "task=./my_task.py:Ones", "model=./my_cell.py:MGU", *QUICK]) == 0
    assert "Ones/MGU/s0-" in capfd.readouterr().out
    check_cell(mechanism_class(f"{extracted}/my_cell.py:MGU"))
    check_task(task_class(f"{extracted}/my_task.py:Ones"), length=10)


def test_they_are_installed_listed_and_trained(site: Site, extracted: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", str(site.folder), "."], check=True, capture_output=True)
    forget()
    for kind, name in (("models", "mgu"), ("tasks", "ones")):
        assert main(["list", kind]) == 0
        said = capfd.readouterr()
        assert re.search(f"^  {name} ", said.out, re.MULTILINE) and said.err == ""
    assert main(["list", "models", "--details"]) == 0
    assert re.search(r"^mgu .*Zhou et al\. 2016", capfd.readouterr().out, re.MULTILINE)
    assert main(["train", "task=ones", "model=mgu", *QUICK]) == 0
    assert "ones/mgu/s0-" in capfd.readouterr().out
