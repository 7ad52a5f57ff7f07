"""`make gpu`: a part that fails or hangs is recorded and stops no other; what there is stands in the file after each part."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.support import gpu
from tests.support.gpu import PARTS, ROOT, Figures, Part, Report, Skipped, new_report, run_parts


def passes(toy: bool) -> Figures:
    return {"ratio": 0.5, "toy": str(toy)}


def raises(toy: bool) -> Figures:
    raise ArithmeticError("too much")


def hangs(toy: bool) -> Figures:
    """So does a process that it started, which would hold the GPU."""
    subprocess.run([sys.executable, "-c", "import time; open('begun', 'w').close(); time.sleep(20); open('late', 'w').close()"])
    return {}


def dies(toy: bool) -> Figures:
    sys.exit(3)


def skips(toy: bool) -> Figures:
    raise Skipped("nothing of it here")


def test_each_part_is_recorded_however_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Report] = []
    write = Report.write

    def watched(self: Report, path: Path) -> None:
        write(self, path)
        written.append(Report.model_validate_json(path.read_text()))

    monkeypatch.setattr(Report, "write", watched)
    parts = {"bad": Part(raises, 120), "dead": Part(dies, 120), "none": Part(skips, 120), "hung": Part(hangs, 15)}
    parts["never begun"] = Part(hangs, 0.01)
    parts["good"] = Part(passes, 120)
    run_parts(new_report(), parts, Path("build/gpu.json"))
    assert [len(report.parts) for report in written] == [0, 1, 2, 3, 4, 5, 6]
    found = written[-1].parts
    assert [*found] == [*parts]
    assert [part.status for part in found.values()] == ["failed", "failed", "skipped", "stopped", "stopped", "passed"]
    assert "ArithmeticError: too much" in (found["bad"].error or "") and found["dead"].error == "its process ended with 3"
    assert found["none"].error == "nothing of it here" and found["hung"].error == "stopped after its 15 s"
    assert found["good"].figures == {"ratio": 0.5, "toy": "True"} and found["good"].error is None
    assert [path.name for path in Path("build").iterdir()] == ["gpu.json"]
    if Path("begun").exists():  # else this machine was too busy for it to begin
        time.sleep(max(0.0, 25 - sum(part.seconds for name, part in found.items() if name in ("never begun", "good"))))
        assert not Path("late").exists()


def test_the_parts_fit_into_eight_minutes() -> None:
    assert sum(part.limit for part in PARTS.values()) <= 480


def test_no_figure_of_a_part_is_lost() -> None:
    assert gpu.mnist(toy=True)["pictures"] == "synthetic, 49 pixels, 4 a batch"
    for figures in (gpu.kernels(toy=True), gpu.bf16(toy=True)):
        for name in gpu.LAYERS:
            assert any(key.startswith(f"{name} ") for key in figures)
        assert all(isinstance(value, float) and value >= 0 for value in figures.values())


def test_a_report_of_another_form_is_refused() -> None:
    with pytest.raises(ValidationError):
        Report.model_validate(
            {**new_report().model_dump(), "parts": {"kernels": {"status": "passed", "seconds": 1, "ratio": 2}}}
        )


@pytest.mark.slow
def test_the_whole_at_toy_size(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    assert subprocess.run([sys.executable, "-m", "tests.support.gpu", str(path)], cwd=ROOT, check=False).returncode == 0
    report = Report.model_validate_json(path.read_text())
    assert [*report.parts] == [*PARTS] and report.toy == (report.device == "cpu")
    assert all(part.figures or part.status == "skipped" for part in report.parts.values())
