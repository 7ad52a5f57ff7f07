"""The overrides of a command line, `train.steps=500`: read where they are plain, checked, and composed from our own files.

What is plain gives the same settings here and by Hydra, a hundred times as fast. Anything else (quotes, `+`, `~`, files of
--config-dir) is Hydra's to read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from ..options import BadOption, near_names, shortened, unknown
from .checks import CODE, PLAIN
from .schema import (
    CHOICES,
    LAUNCHERS,
    SINGLE,
    UNNAMED,
    base_file,
    choice_names,
    choice_settings,
    default_settings,
    every_choice,
    group_options,
    is_choice,
    launcher_keys,
    option_keys,
)
from .settings import Plain

HYDRA_GROUPS = ("hydra/launcher",)  # with hydra.launcher.*, what a command line may change of Hydra's own settings
KEY = re.compile(r"[a-z_]+(\.[A-Za-z_]\w*)*", re.ASCII)
INT = re.compile(r"-?(0|[1-9][0-9]*)")
FLOAT = re.compile(r"-?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|-?[0-9]+[eE][-+]?[0-9]+")
TEXT = re.compile(r"[A-Za-z_/][\w./-]*|[0-9]+[A-Za-z]+|[A-Za-z_./][\w./-]*\.py:[A-Za-z_]\w*", re.ASCII)  # FILE.py:CLASS
LONGEST = 1000  # digits of a whole number
NAMED = {"null": None, "true": True, "false": False}


ALIASES = {  # what options are called elsewhere
    other: option
    for option, others in {
        "train.learning_rate": "lr rate learning_rate_init",
        "train.batch_size": "bs batch batchsize minibatch",
        "train.steps": "epoch epochs n_epochs num_epochs max_epochs max_steps num_steps iterations iters max_iter",
        "train.weight_decay": "wd decoupled_weight_decay l2",
        "train.optimizer": "optim optimiser opt",
        "train.clip": "grad_clip clip_grad clip_norm gradient_clip max_grad_norm gradient_clip_val",
        "train.patience": "early_stopping early_stop",
        "train.eval_every": "eval_interval val_check_interval eval_steps",
        "train.log_every": "log_interval log_every_n_steps",
        "model.hidden_size": "hidden hidden_dim hidden_units units width size dim n_hidden nhid num_units d_model",
        "model.layers": "nlayers n_layers num_layers n_layer depth",
        "model.bidirectional": "bidir",
        "network.embedding": "emb emb_size emsize embed_dim embedding_dim embedding_size",
        "task.length": "len seq_len seqlen seq_length sequence_length timesteps time_steps",
        "trainer.accelerator": "device cuda gpu use_gpu",
        "trainer.devices": "gpus num_gpus n_gpus",
        "trainer.workers": "num_workers n_workers",
        "tracker.project": "wandb_project",
        "seed": "random_seed random_state rng",
        "runs": "output output_dir out_dir log_dir save_dir",
    }.items()
    for other in others.split()
}


class Word(NamedTuple):
    """One override: the line as it was typed, its key and its value."""

    line: str
    key: str
    value: Any
    package: str | None = None  # of Hydra's `group@package`


def plain_word(line: str) -> Word | None:
    """The override in `line`; None where Hydra's grammar is needed to read it."""
    key, equals, text = line.partition("=")
    if not equals or not KEY.fullmatch(key) or key.startswith("hydra"):
        return None
    if text[:1] == "[" and text[-1:] == "]":
        items = [_scalar(item) for item in text[1:-1].split(",")] if text != "[]" else []
        return None if any(item is HYDRAS for item in items) else Word(line, key, items)
    value = _scalar(text)
    return None if value is HYDRAS else Word(line, key, value)


HYDRAS = object()  # a value that Hydra must read


def _scalar(text: str) -> Any:
    if text in NAMED:
        return NAMED[text]
    if INT.fullmatch(text):
        return int(text) if len(text) < LONGEST else HYDRAS
    if FLOAT.fullmatch(text):
        return float(text)
    return text if TEXT.fullmatch(text) and text.lower() not in (*NAMED, "inf", "nan") else HYDRAS


def plain_words(lines: Sequence[str]) -> list[Word] | None:
    """All of `lines`, where all are plain and no choice stands twice; of an option that does, the last counts."""
    words = [plain_word(line) for line in lines]
    found = [word for word in words if word is not None]
    chosen = [word.key for word in found if word.key in CHOICES]
    return found if len(found) == len(lines) and len(set(chosen)) == len(chosen) else None


def compose_plainly(words: Sequence[Word]) -> Plain:
    """The settings that checked `words` ask for, nested: defaults, then the files of the choices, then the values."""
    chosen = {"trainer": "cpu", "tracker": "auto", **{word.key: word.value for word in words if word.key in CHOICES}}
    require_choices(chosen)
    composed: Plain = {name: base_file()[name] for name in SINGLE}
    composed |= {group: default_settings(group, {}) for group in UNNAMED}
    for group in CHOICES:
        node = choice_settings(group, chosen[group])
        for part, values in (node if group == "task" else {group: node}).items():
            composed[part] = {**composed.get(part, {}), **values}
    for word in words:
        group, _, name = word.key.partition(".")
        if name:
            composed[group][name] = word.value
        elif word.key not in CHOICES:
            composed[word.key] = word.value
    return composed


def require_choices(chosen: Collection[str]) -> None:
    """BadOption where the task or the model is not among what was `chosen`."""
    for group in ("task", "model"):
        if group not in chosen:
            raise BadOption(f"missing value: {group}=...; there are: {', '.join(choice_names(group))}")


def check_words(words: Sequence[Word], own_files: bool = False) -> None:
    """Refuses the words of one job where one of them is no option beside the others."""
    for word in sorted(words, key=lambda word: word.key not in CHOICES):  # which options there are, the choices say
        check_word(word, words, own_files)


def check_word(word: Word, job: Sequence[Word], own_files: bool) -> None:
    """Refuses what names code, and what is no option beside the other words of its `job`; says which is near."""
    line, key, value, package = word
    if CODE.search(line) or "${" in PLAIN.sub("", line):
        raise BadOption(f"{shortened(line)}: settings are texts and numbers; code and resolvers are not allowed")
    if "@" in key or package:
        raise BadOption(f"{line}: a choice stands in its own group; packages (@) are not allowed")
    added = line.startswith("+") and not line.startswith("++")
    if key.startswith("hydra"):
        _check_hydra(word, job, own_files)
        _refuse_added(line, added)
        return
    if own_files:  # names may come from the user's files; what they make is checked when composed
        _refuse_added(line, added and key.partition(".")[0] in (*SINGLE, *CHOICES, *UNNAMED))
        return
    if key in CHOICES:
        _refuse_added(line, added)
        if value is None or value == "":
            raise BadOption(f"missing value: {key}=...; there are: {', '.join(choice_names(key))}")
        if not is_choice(key, value):
            raise unknown(key, str(value), every_choice(key))
        return
    known = option_keys({other.key: other.value for other in job if other.key in CHOICES})
    if key not in known:
        if meant := meant_options(key, known):
            raise BadOption(f"no option {key!r}; did you mean {' or '.join(map(repr, meant))}?")
        group = key.partition(".")[0] + "."
        within = [name for name in known if name.startswith(group)]
        raise unknown("option", key, within or {name.partition(".")[0] + (".*" if "." in name else "") for name in known})
    _refuse_added(line, added)
    if line.endswith("="):
        raise BadOption(f"missing value: {key}")


def meant_options(key: str, known: Collection[str]) -> list[str]:
    """What is meant by a name that other programs have for an option, or by an option without its group or with another.

    Where no group is right, what is near one of the options counts, too.
    """
    group, _, name = key.rpartition(".")
    name = ALIASES.get(name.casefold(), name)
    names = {one.rpartition(".")[2] for one in known}
    if name not in names and name not in known and not any(one.startswith(f"{group}.") for one in known):
        if choice := get_close_matches(key, CHOICES, n=1, cutoff=0.75):
            return choice
        name = next(iter(near_names(name, names)), name)
    return [one for one in known if one == name or one.partition(".")[2] == name]


def _refuse_added(line: str, added: bool) -> None:
    if added:
        raise BadOption(f"{shortened(line)}: the option is there, + adds one that is not; allowed: {shortened(line[1:])}")


def _check_hydra(word: Word, job: Sequence[Word], own_files: bool) -> None:
    line, key, value, _ = word
    if not key.startswith("hydra.launcher.") and key not in HYDRA_GROUPS:
        raise BadOption(
            f"{shortened(line)}: of Hydra's own settings these can be changed: hydra/launcher, hydra.launcher.*; "
            "the folder of runs is runs=, the name of a sweep sweep=, and -m makes one"
        )
    if key == "hydra/launcher" and not own_files and str(value) not in (allowed := [*LAUNCHERS, "basic"]):
        raise unknown("launcher", str(value), allowed)
    if key.startswith("hydra.launcher."):
        chosen = str(next((other.value for other in reversed(job) if other.key == "hydra/launcher"), "processes"))
        known = launcher_keys(chosen)
        if key not in known:
            raise unknown("option", key, known)
        if chosen == "processes":
            group_options("launcher", {})[key.removeprefix("hydra.launcher.")].check(value, key)
