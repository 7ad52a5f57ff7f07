"""Every test starts in an empty folder, with no account, no mirror, no network's names and a cache of its own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

# A shell that runs the tests in the background has them ignore SIGINT, and whatever they start would ignore it, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty current folder and an environment without anything of the user's."""
    for name in list(os.environ):
        if name.startswith(("WANDB", "RNNBENCH_", "HF_", "HYDRA")):
            monkeypatch.delenv(name)
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    empty = tmp_path / "here"
    empty.mkdir()
    monkeypatch.chdir(empty)
    torch.set_num_threads(1)


def everything(folder: Path) -> list[Path]:
    """All files and folders below `folder`, hidden ones too."""
    return sorted(folder.rglob("*"))
