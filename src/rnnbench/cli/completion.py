"""What a shell may put at the end of a line: verbs, their flags, and the settings of `train` with their values."""

from __future__ import annotations

import argparse
import contextlib
import os
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from ..config.schema import CHOICES, choice_names, find_option, option_keys
from ..console import say, show
from ..options import BadOption, plain_text
from .parser import make_parser, verbs_of


def completion_command(options: argparse.Namespace) -> int:
    show(f"{SCRIPTS[options.shell]}\n")
    return 0


def complete_command(_words: Sequence[str]) -> int:
    """The words that the shell may put at the end of COMP_LINE, a line each."""
    with contextlib.suppress(BadOption):  # what stands there already cannot be: a file that is not there, say
        for word in completions(os.environ.get("COMP_LINE", ""), verbs_of(make_parser())):
            say(word)
    return 0


SCRIPTS = {
    "bash": """\
_rnnbench() {
    local IFS=$'\\n'
    COMPREPLY=($(COMP_LINE="${COMP_LINE:0:$COMP_POINT}" "${COMP_WORDS[0]}" complete 2>/dev/null))
    [[ ${COMPREPLY[0]} == *[=./] ]] && compopt -o nospace
    # bash takes = for the end of a word: what stands before it is not completed again
    [[ $COMP_WORDBREAKS == *=* && ${COMP_LINE:0:$COMP_POINT} =~ [^[:space:]]*$ ]] || return
    local before="${BASH_REMATCH[0]%"${BASH_REMATCH[0]##*=}"}"
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
}
complete -o default -F _rnnbench rnnbench""",
    "zsh": """\
autoload -U +X compinit && compinit -u
_rnnbench() { local -a found; found=("${(@f)$(COMP_LINE="${(j: :)words[1,CURRENT]}" ${words[1]} complete 2>/dev/null)}")
    [[ -n $found ]] && compadd -U -S '' -- $found || _files }
compdef _rnnbench rnnbench""",
}
HYDRA_FLAGS = ("--again", "--cfg", "--config-dir", "--help", "--hydra-help", "--info", "--multirun", "--resume", "-m")


def completions(line: str, verbs: Mapping[str, argparse.ArgumentParser]) -> list[str]:
    """The words that may stand at the end of `line`, a command with one of `verbs`; none where only a file could."""
    *before, word = line.split(" ")[1:] or [""]
    if not before:
        candidates: Iterable[str] = verbs
    elif before[0] not in verbs:
        candidates = ()
    elif before[0] in ("train", "estimate"):
        candidates = HYDRA_FLAGS if word.startswith("-") else override_completions(before[1:], word)
    else:
        candidates = argument_completions(verbs[before[0]], before, word)
    return [candidate for candidate in candidates if candidate.startswith(word)]


def argument_completions(verb: argparse.ArgumentParser, before: Sequence[str], word: str) -> Iterable[str]:
    """Flags, and what stands at this place of the verbs that name tasks and models."""
    if word.startswith("-"):
        return [flag for action in verb._actions for flag in action.option_strings if flag.startswith("--")]
    for action in verb._actions:
        if before[-1] in action.option_strings:  # the value of a flag
            return map(str, action.choices or ())

    if before[0] in ("baseline", "prepare"):
        return choice_names("task") if len(before) == 1 else override_completions([f"task={before[1]}"], word, rooms=("task",))
    if before[0] == "list" and len(before) == 2:
        return choice_names(before[1].removesuffix("s"))
    return next((map(str, action.choices) for action in verb._actions if action.choices and not action.option_strings), ())


def override_completions(before: Sequence[str], word: str, rooms: Sequence[str] = ()) -> list[str]:
    """`task=`, `train.steps=` and the like, and after `=` or a comma the values where they are few."""
    key, equals, value = word.partition("=")
    if equals:
        taken = value.split(",")[:-1]
        start = "".join(f"{one}," for one in taken)
        return [f"{key}={start}{one}" for one in _values(key, before) if one not in taken]
    said = dict(line.split("=", 1) for line in before if "=" in line)
    keys = [*CHOICES, "hydra/launcher", *option_keys(said)]
    keys = [name for name in keys if not rooms or name.partition(".")[0] in rooms]
    if "." in word or rooms:
        return [f"{name}=" for name in keys]
    return sorted({f"{name.partition('.')[0]}." if "." in name else f"{name}=" for name in keys})


def _values(key: str, before: Sequence[str]) -> list[str]:
    if key in (*CHOICES, "hydra/launcher"):
        return list(choice_names(key))
    said = dict(line.split("=", 1) for line in before if "=" in line)
    if key in ("budget.match", "network.writer"):
        return list(choice_names("model"))
    option = find_option(key, said)
    return [plain_text(value) for value in few_values(option.annotation)] if option else []


def few_values(annotation: object) -> tuple[object, ...]:
    """The values of an annotation that has few."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return tuple(value for part in parts for value in few_values(part))
    if origin is Literal:
        return parts
    return (True, False) if annotation is bool else (None,) if annotation is type(None) else ()
