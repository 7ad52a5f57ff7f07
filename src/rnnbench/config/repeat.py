"""The words of a command line that ask for settings again, as `rnnbench train` takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..options import BadOption, plain_text
from ..store.record import Config
from .liveness import Liveness
from .plain_overrides import plain_word
from .schema import HASHED, choice_settings, default_settings, is_choice

ELSEWHERE = ("accelerator", "devices", "nodes", "micro_batches", "callbacks")  # of trainer.*: what may change numbers


def repeat_words(config: Config) -> list[str]:
    """`task=adding model=gru train.steps=500 seed=1`: what asks for the run of `config`, less what is as by default.

    BadOption where its task or model is not here, or is a class in a file: no word means that class elsewhere.
    """
    task, model = config["task"]["name"], config["model"]["name"]
    for group, name in (("task", task), ("model", model)):
        if file := config[group].get("class"):
            raise BadOption(f"{group}={file} is a class in a file, which no command names elsewhere")
        if not is_choice(group, name):
            raise BadOption(f"no {group} {name!r} here")
    base = {"model": choice_settings("model", model), **choice_settings("task", task)}
    if base["model"]["mechanism"] != config["model"]["mechanism"] or base["task"]["name"] != task:
        raise BadOption(f"{task} or {model} stands for other settings here")
    found = [f"task={task}", f"model={model}"]
    without = Liveness(config).effectless()
    for group in HASHED:
        usual = {**default_settings(group, config[group]), **base.get(group, {})}
        for name, value in config[group].items():
            if name in usual and value != usual[name] and f"{group}.{name}" not in without:
                found.append(word_of(f"{group}.{name}", value))
    usual = default_settings("trainer", {})
    trainer: Mapping[str, Any] = config.get("trainer") or {}
    found += [word_of(f"trainer.{name}", trainer[name]) for name in ELSEWHERE if trainer.get(name, usual[name]) != usual[name]]
    found.append(f"seed={config['seed']}")
    found += [f"test_seed={config['test_seed']}"] if config.get("test_seed") else []
    return found + ["test=false"] * (config.get("test") is False)


def word_of(key: str, value: Any) -> str:
    """The override that gives `key` this value: plain where it can be, else quoted for Hydra's grammar."""
    text = f"[{','.join(map(plain_text, value))}]" if isinstance(value, list) else plain_text(value)
    word = plain_word(f"{key}={text}")
    if word is not None and word.value == value and type(word.value) is type(value):
        return word.line
    if word is not None and type(word.value) is int and str(word.value) == value:
        return word.line  # an option that takes a text takes such a number as its text
    from .overrides import quoted  # imports Hydra, whose grammar is needed for such a text only

    if isinstance(value, list):
        return f"{key}=[{','.join(quoted(item) if isinstance(item, str) else plain_text(item) for item in value)}]"
    return f"{key}={quoted(value) if isinstance(value, str) else text}"
