"""The settings of a process: each can be switched off, twice is as once, and the arithmetic stays fp32."""

from __future__ import annotations

import functools
import importlib.util
import json
import platform
import subprocess
import sys

import pytest
import torch

from rnnbench.config.compose import compose_jobs
from rnnbench.kernels import products, recurrence
from rnnbench.kernels.products import bf16_over_float32
from rnnbench.run import process_settings as process
from rnnbench.run import training_run
from rnnbench.run.execute import execute
from rnnbench.run.process_settings import _matmul_is_fp32, configure_process

PROBE = """
import json, resource, sys, torch
from rnnbench.run.process_settings import configure_process
settings = [configure_process(**json.loads(sys.argv[1])) for _ in range(2)]
assert settings[0] == settings[1], settings
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    buffers = [torch.empty(size * 2**20).fill_(1.0) for size in (4, 2, 8, 3)]
    del buffers
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
later = [faults() for _ in range(12)][9:]  # once the heap has found its size
a, b = torch.randn(2, 300, 300, generator=torch.Generator().manual_seed(1))
error = ((a @ b).double() - a.double() @ b.double()).abs().max().item()
print(json.dumps({**settings[0], "faults": sum(later), "error": error, "torch_threads": torch.get_num_threads()}))
"""


@functools.cache
def settled(arguments: str) -> dict:
    """What a fresh process reports: the settings, page faults once buffers come again, the error of a product."""
    run = subprocess.run([sys.executable, "-c", PROBE, arguments], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


ON, OFF = "{}", json.dumps({"threads": 2, "allocator": False, "fast_matmul": False, "compiled": False})


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is glibc's")
def test_the_allocator_keeps_freed_memory():
    kept, returned = settled(ON), settled(OFF)
    assert kept["allocator"] and not returned["allocator"]
    assert kept["faults"] < 0.1 * returned["faults"]


@pytest.mark.parametrize(("arguments", "threads"), [(ON, 1), (OFF, 2)])
def test_settings_are_in_force_and_products_stay_fp32(arguments, threads):
    shown = settled(arguments)
    assert shown["threads"] == shown["torch_threads"] == threads
    assert shown["error"] < 1e-4  # bf16 would be off by 0.1
    assert not (arguments == OFF and shown["fast_matmul"])
    assert shown["compiled"] == (arguments == ON and importlib.util.find_spec("numba") is not None)


@pytest.fixture
def matmul():
    """This process's products, put back afterwards."""
    products = getattr(torch.backends.mkldnn, "matmul", None)
    if products is None:
        pytest.skip("this PyTorch has no switch")
    before = products.fp32_precision
    yield products
    products.fp32_precision = before


def test_fast_products_are_given_up_where_they_round(matmul, monkeypatch):
    monkeypatch.setattr(process, "_mkl_is_slow", lambda: True)
    monkeypatch.setattr(process, "_matmul_is_fp32", lambda: False)
    assert configure_process(threads=0, allocator=False)["fast_matmul"] is False
    assert matmul.fp32_precision == "none"


def test_the_check_sees_bf16(monkeypatch):
    assert _matmul_is_fp32()
    product = torch.Tensor.__matmul__
    rounded = lambda a, b: product(a.bfloat16(), b.bfloat16()).float() if a.dtype == torch.float32 else product(a, b)  # noqa: E731
    monkeypatch.setattr(torch.Tensor, "__matmul__", rounded)
    assert not _matmul_is_fp32()


def test_bf16_is_timed_against_float32(monkeypatch):
    def repeat(product, number, repeat):
        return [{torch.bfloat16: 3.0, torch.float32: 2.0}[product().dtype]] * repeat

    monkeypatch.setattr(products.timeit, "repeat", repeat)
    assert bf16_over_float32() == 1.5


@pytest.mark.parametrize(
    ("precision", "ratio", "said", "recorded"),
    [
        ("bf16", 6.66, "train.precision=bf16 is slow here: a product takes 6.7 times as long as in float32", 6.66),
        ("bf16", 0.254, "", 0.25),
        ("32", 6.66, "", None),
        ("64", 6.66, "", None),
    ],
)
def test_a_run_in_bf16_says_where_that_is_slow(precision, ratio, said, recorded, capfd, monkeypatch):
    monkeypatch.setattr(training_run, "bf16_over_float32", lambda: ratio)
    words = ["task=adding", "task.length=5", "task.sequences=10", "model=lstm", "model.hidden_size=4", "tracker=none"]
    (job,) = compose_jobs([*words, "train.steps=2", f"train.precision={precision}"], sweep=False)
    record = execute(job)
    lines = [line for line in capfd.readouterr().out.splitlines() if "slow" in line]
    assert [line.partition("  ")[2] for line in lines] == ([said] if said else [])
    assert record["process"].get("bf16_over_float32") == recorded
    assert not any("bf16" in name for name in record["departures"])  # so it is no part of the id


def test_off_everywhere_is_a_clean_no_op(monkeypatch, matmul):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    threads = torch.get_num_threads()
    expected = {"threads": threads, "allocator": False, "fast_matmul": False, "compiled": False}
    monkeypatch.setattr(recurrence, "_by_numba", lambda: None)  # not installed
    assert configure_process(threads=0) == expected


def test_what_a_sweep_preloads_is_kept_out_of_collections():
    code = """
import gc, sys
import rnnbench.launch.server
assert "pytorch_lightning" in sys.modules and gc.isenabled() and gc.get_freeze_count() > 100_000
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_the_server_of_jobs_ends_without_tidying_up_and_a_job_as_it_does():
    code = """
import atexit, os, sys
atexit.register(print, "tidied up", flush=True)
import rnnbench.launch.server
if os.fork() == 0:
    sys.exit(3)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 3
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.count("tidied up") == 1  # by the job
