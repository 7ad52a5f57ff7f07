"""What runs are called, in comparisons and in trackers."""

from __future__ import annotations

import pytest

from rnnbench.config.compose import compose_jobs
from rnnbench.config.labels import LONGEST, run_name, setting_label

SETTING = "0123456789abcdef"
NAMES = {
    "task=adding model=lstm": "adding / lstm / s0",
    "task=adding task.length=30 model=lstm model.hidden_size=64 train.learning_rate=0.01": "adding-T30 / lstm-64 lr=.01 / s0",
    "task=adding model=deep_lstm": "adding / deep_lstm / s0",  # what its file says is no departure from its name
    "task=adding model=deep_lstm model.layers=3 seed=2": "adding / deep_lstm layers=3 / s2",
    "task=adding model=gru train.learning_rate=0.0012345678": "adding / gru lr=.00123457 / s0 01234567",  # not all digits
    "task=char_lm task.text=text.txt model=gru": "char_lm text=text.txt / gru / s0 01234567",
    "task=char_lm task.text=ptb model=gru": "char_lm text=ptb / gru / s0",
    "task=char_lm task.text=/a/b/text.txt model=gru": "char_lm text=…/text.txt / gru / s0 01234567",
}


@pytest.mark.parametrize("words", NAMES)
def test_a_name_says_what_differs_from_the_defaults(words: str) -> None:
    (job,) = compose_jobs([*words.split(), "tracker=none"], sweep=False)
    assert run_name(job.plain(), SETTING) == NAMES[words]


def test_a_long_name_is_cut_and_ends_with_the_digits_of_its_setting() -> None:
    words = "model.NIG=true train.clip=7.25 train.eval_every=111 train.log_every=37 train.steps=1234567 train.batch_size=1234"
    words += " train.weight_decay=0.125 train.schedule=cosine model.layers=4"
    (job,) = compose_jobs(["task=adding", "model=lstm", *words.split(), "tracker=none"], sweep=False)
    name = run_name(job.plain(), SETTING)
    assert len(name) == LONGEST and name.endswith("… / s0 01234567") and name.startswith("adding / lstm")


def test_names_of_a_sweep_differ() -> None:
    words = "task=adding,copy_memory model=lstm,gru,deep_lstm train.learning_rate=0.003,0.01 seed=0,1 tracker=none"
    jobs = compose_jobs(words.split(), sweep=True)
    assert len({run_name(job.plain(), SETTING) for job in jobs}) == len(jobs) == 24


def test_settings_of_another_version_have_a_name() -> None:
    config = {"task": {"name": "gone"}, "model": {"name": "lstm", "mechanism": "gone"}, "seed": 1, "network": {}, "train": {}}
    assert run_name(config, SETTING) == "gone / lstm / s1 01234567"


def test_a_label_puts_sizes_at_the_name() -> None:
    options = {"hidden_size": 9, "train.learning_rate": 0.5, "dropout": 0.25, "peepholes": "all", "chrono": -0.5}
    assert setting_label("lstm", options) == "lstm-9 lr=.5 dropout=.25 peepholes=all chrono=-0.5"
