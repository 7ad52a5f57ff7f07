"""What made a run's numbers: the digest of the code, and where a package's files count."""

from __future__ import annotations

from pathlib import Path

import pytest

import rnnbench
from rnnbench.config.compose import compose_jobs
from rnnbench.plugins import code_shape
from rnnbench.run import provenance as module
from rnnbench.run.provenance import code_digest, provenance

CODE = '''"""What it is."""

def step(x):
    """One step."""
    y = x + 1  # one more
    return y
'''


def digest_of(folder: Path, text: str) -> str:
    path = folder / "code.py"
    path.write_text(text, encoding="utf-8")
    return code_digest([path])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # one more", ""),
        ("One step.", "A step in time."),
        ('"""What it is."""\n', ""),
        ('    """One step."""\n', ""),
        ("x + 1", "(x\n         + 1)"),
        ("\ndef", "\n# A comment.\n\n\ndef"),
    ],
)
def test_comments_docstrings_and_layout_are_no_code(tmp_path: Path, old: str, new: str) -> None:
    assert old in CODE
    assert digest_of(tmp_path, CODE.replace(old, new)) == digest_of(tmp_path, CODE)


@pytest.mark.parametrize(
    ("old", "new"), [("x + 1", "x + 2"), ("x + 1", "x - 1"), ("step(x)", "step(x, z=0)"), ("return y", "y")]
)
def test_what_runs_is_code(tmp_path: Path, old: str, new: str) -> None:
    assert digest_of(tmp_path, CODE.replace(old, new)) != digest_of(tmp_path, CODE)


def test_every_file_that_makes_numbers_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[Path] = []
    monkeypatch.setattr(module, "code_digest", lambda files: counted.extend(files) or "0" * 64)
    (settings,) = compose_jobs(["task=sentiment", "model=gru"], sweep=False)
    provenance(settings)
    root = Path(rnnbench.__file__).parent
    names = {str(path.relative_to(root)) for path in counted if path.is_relative_to(root)}
    for package in ("models", "kernels", "networks", "training", "data"):
        assert {str(path.relative_to(root)) for path in (root / package).rglob("*.py")} <= names
    assert {"groups.py", "run/plan.py", "run/process_settings.py"} <= names
    assert {"sentiment.py", "task.py", "rows.py"} <= {path.name for path in counted}
    assert "adding.py" not in {path.name for path in counted}


def test_a_kept_digest_is_that_of_the_same_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From an empty cache, from what it kept, from a damaged entry, and where nothing can be kept."""
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    first = digest_of(tmp_path, CODE)
    (kept,) = (tmp_path / "cache/code").iterdir()
    monkeypatch.setattr(code_shape, "_shape", lambda node: pytest.fail("taken apart again"))
    assert digest_of(tmp_path, CODE) == kept.read_text() == first
    monkeypatch.undo()
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    kept.write_text("half of a dig")
    assert digest_of(tmp_path, CODE) == kept.read_text() == first
    assert digest_of(tmp_path, CODE.replace("x + 1", "x + 2")) != first
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "file"))
    assert digest_of(tmp_path, CODE) == first
