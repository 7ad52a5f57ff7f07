"""`python -m tests.support.versions 3.11 3.12 ...`: the tests on each Python that is found, and a table of how they ended.

On each with the newest dependencies that pyproject.toml allows; on the first also with the oldest. Environments are made by uv
(https://docs.astral.sh/uv) in a temporary folder.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ["-m", "pytest", "-n", "2", "-m", "not slow", "-q"]


def tested(python: str, resolution: str, place: Path) -> tuple[bool | None, str]:
    """(whether the tests pass, None where there is no such Python; pytest's summary, or what could not be installed)."""
    uv = [sys.executable, "-m", "uv"]
    made = subprocess.run([*uv, "venv", "-q", "--python", python, str(place)], capture_output=True, text=True, check=False)
    if made.returncode:
        return None, "not found"
    interpreter = str(place / "bin" / "python")
    install = [*uv, "pip", "install", "-q", "--python", interpreter, "--resolution", resolution, "-e", f"{ROOT}[dev]"]
    installed = subprocess.run(install, capture_output=True, text=True, check=False)
    if installed.returncode:
        return False, "not installed: " + " ".join(installed.stderr.split())[:200]
    done = subprocess.run([interpreter, *TESTS], cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout[-3000:], flush=True)
    return not done.returncode, (done.stdout.strip().splitlines() or ["nothing was said"])[-1].strip("= ")


def main(pythons: list[str]) -> int:
    found = {}
    with tempfile.TemporaryDirectory() as place:
        for number, python in enumerate(pythons):
            for resolution in ("highest", "lowest-direct") if not number else ("highest",):
                found[python, resolution] = tested(python, resolution, Path(place) / f"{python}-{resolution}")
    for (python, resolution), (_, ending) in found.items():
        print(f"Python {python:<6}{resolution:<15}{ending}")
    passed = [good for good, _ in found.values() if good is not None]
    return int(not passed or not all(passed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
