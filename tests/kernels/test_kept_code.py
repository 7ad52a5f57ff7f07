"""Machine code that is kept on disk is that of the sources as they are, of all files that it is made of."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rnnbench

TRAINS = """
import numpy
from rnnbench.kernels import rtrl
from rnnbench.kernels.lstm_1997 import NetworkWeights, Recent, Rule, Sequences
from rnnbench.kernels.recurrence import compiled_or_plain

ones = numpy.ones
weights = NetworkWeights(ones((1, 2)), ones((1, 1)), ones(0), ones((1, 1)), ones((1, 0)), ones(0))
rows = Sequences(ones((1, 2, 1), int),
                 ones((1, 2, 1)), ones((1, 2), int), ones((1, 2, 1)), ones((1, 2), bool), ones(1, int) + 1)
assert compiled_or_plain("rtrl_rows", rtrl.train_rtrl_rows) is not rtrl.train_rtrl_rows, "no machine code"
rtrl.train_rtrl(weights, rtrl.RTRLForm(), rows, 1.0, Recent.empty(0), Rule(0, 1.0, 0.3))
print(repr(weights.W.tolist()))
"""


@pytest.mark.slow
def test_an_edit_of_a_file_that_a_kernel_takes_functions_from_is_seen(tmp_path: Path) -> None:
    package = tmp_path / "rnnbench"
    shutil.copytree(Path(rnnbench.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "kept")}

    def trained() -> str:
        done = subprocess.run([sys.executable, "-c", TRAINS], env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert not done.returncode, done.stderr
        return done.stdout

    first = trained()
    assert trained() == first
    source = package / "kernels" / "lstm_1997.py"
    text = source.read_text()
    assert text.count("+= rate * changes[at]") == 1
    source.write_text(text.replace("+= rate * changes[at]", "+= 2 * rate * changes[at]"))
    assert trained() != first
