"""Signatures read from source, and values held against them."""

from __future__ import annotations

import importlib
import inspect
import typing
from typing import Annotated, Literal

import pytest

from rnnbench.config.compose import compose_jobs
from rnnbench.config.plain_overrides import ALIASES
from rnnbench.config.schema import option_keys, read_signature
from rnnbench.models.registry import MODELS
from rnnbench.options import MISSING, AboveZero, BadOption, Option, Positive, Range, Rate, apart, convert, describe
from rnnbench.signatures import read_class
from rnnbench.tasks import task_names


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (3, int, 3),
        (3, float, 3.0),
        (True, bool, True),
        ("a", Literal["a", "b"], "a"),
        (None, int | None, None),
        (0, Rate, 0.0),
        (0.5, Rate, 0.5),
        ([1, 2], list[int], [1, 2]),
        (7, str, "7"),
    ],
)
def test_values_that_fit(value, annotation, expected):
    converted = convert(value, annotation)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (1.0, int),
        (True, int),
        (True, float),
        ("3", int),
        (1, bool),
        (None, int),
        (0, Positive),
        (1.0, Rate),
        (0.0, AboveZero),
        (float("nan"), AboveZero),
        ("c", Literal["a", "b"]),
        (True, Literal[1, 2]),
        ([1, "x"], list[int]),
        ("ab", list[str]),
    ],
)
def test_values_that_do_not_fit(value, annotation):
    with pytest.raises(BadOption, match=r"x=.* is not allowed; allowed: "):
        Option("x", annotation, None).check(value, "x")


def test_ranges_in_words():
    assert describe(Annotated[int, Range(2, 9)]) == "whole number, at least 2 and at most 9"
    assert describe(AboveZero | None) == "number, more than 0 or null"


def test_source_is_read_as_python_reads_it():
    """Names, order, defaults and annotations from the text equal those of the imported class, for every class there is."""
    classes = [(read_signature("mechanism", name), cls) for name, cls in MODELS.items()]
    for name in task_names():
        read = read_signature("task", name)
        module = importlib.import_module(f"rnnbench.tasks.{name}")
        classes.append((read, getattr(module, read.class_name)))
    for read, cls in classes:
        real = inspect.signature(cls.__init__).parameters
        hints = typing.get_type_hints(cls.__init__, include_extras=True)
        assert list(read.options) == [name for name in real if name != "self"]
        for name, option in read.options.items():
            default = real[name].default
            assert option.default == (MISSING if default is inspect.Parameter.empty else default)
            if not isinstance(option.annotation, str):
                assert (option.annotation, option.needs, option.where) == apart(hints[name])
        for name, value in read.constants.items():
            assert getattr(cls, name) == value


def test_every_option_says_what_it_is():
    """A comment on the line of each option of a task, a model, the network and the training, but where the name says it all."""
    for group, name in [("task", n) for n in task_names()] + [("mechanism", n) for n in MODELS]:
        for option in read_signature(group, name).options.values():
            assert option.comment or option.name == "input_size", f"{name}.{option.name}"


ANNOTATED = """
class Plugged(Task):
    def __init__(
        self,
        a: Annotated[int, Range(-1, 2**8 - 1)] = 1,
        b: Annotated[float, Range(0, open_low=True)] | None = None,
        c: Optional[Positive] = None,
        d: tuple[Literal["x", 2], ...] = (),
        e: Union[int, str] = 3,
        f: list[int] = [],
        *,
        g: Share,
        h: Task = None,
        i: Literal[choices()] = None,
        j: Annotated[int, print("run")] = 1,
    ): ...
"""


def test_annotations_are_read_and_never_run(tmp_path, capsys):
    path = tmp_path / "plugged.py"
    path.write_text(ANNOTATED, encoding="utf-8")
    options = read_class(path, base="Task").options
    assert {name: option.annotation for name, option in options.items()} == {
        "a": Annotated[int, Range(-1, 255)],
        "b": AboveZero | None,
        "c": Positive | None,
        "d": tuple[Literal["x", 2], ...],
        "e": int | str,
        "f": list[int],
        "g": Annotated[float, Range(0, 1)],
        "h": "Task",
        "i": "Literal[choices()]",
        "j": "Annotated[int, print('run')]",
    }
    assert options["g"].default == MISSING and capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        *((f"{alias}=1", option) for alias, option in ALIASES.items()),
        ("LR=1", "train.learning_rate"),
        ("train.lr=1", "train.learning_rate"),
        ("hidden_size=32", "model.hidden_size"),
        ("train.hidden_size=32", "model.hidden_size"),
        ("steps=5", "train.steps"),
    ],
)
def test_usual_names_of_others_are_understood(word, meant):
    """By a plain word and by one that Hydra reads."""
    for more in ([], ["train.optimizer='sgd'"]):
        with pytest.raises(BadOption) as refused:
            compose_jobs(["task=adding", "model=gru", word, *more], sweep=False)
        assert str(refused.value) == f"no option {word.partition('=')[0]!r}; did you mean {meant!r}?"
    assert meant in option_keys({"task": "adding", "model": "gru"})


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("model=GRU", "no model 'GRU'; did you mean 'gru'?"),
        ("model=bigru", "no model 'bigru'; did you mean 'gru' or 'deep_bigru'?"),
        ("task=copy", "no task 'copy'; did you mean 'copy_memory' or 'copy_memory_short' or 'selective_copy'?"),
        ("task=mnist", "no task 'mnist'; did you mean 'caption_mnist' or 'permuted_mnist' or 'sequential_mnist'?"),
        ("hiden_size=3", "no option 'hiden_size'; did you mean 'model.hidden_size'?"),
        ("model.hiden_size=3", "no option 'model.hiden_size'; did you mean 'model.hidden_size'?"),
        ("trian.staps=3", "no option 'trian.staps'; did you mean 'train.steps'?"),
        ("tracker=wandbb", "no tracker 'wandbb'; did you mean 'wandb'? there are: auto, none, tensorboard, trackio, wandb"),
    ],
)
def test_what_is_near_is_named_and_a_long_list_is_not(word, said):
    words = {"task": "task=adding", "model": "model=gru", word.partition("=")[0]: word}
    with pytest.raises(BadOption) as refused:
        compose_jobs(list(words.values()), sweep=False)
    assert str(refused.value).startswith(said) and (len(str(refused.value)) == len(said) or "tracker" in word)


@pytest.mark.parametrize("word", ["model=qqq", "task=qqq", "model.qqq=1", "qqq=1", "train.qqq=1"])
def test_a_list_stands_where_nothing_is_near(word):
    words = {"task": "task=adding", "model": "model=gru", word.partition("=")[0]: word}
    with pytest.raises(BadOption, match=r"^no \w+ '[\w.]*qqq'; there are: \w+") as refused:
        compose_jobs(list(words.values()), sweep=False)
    assert "did you mean" not in str(refused.value)


def test_capitals_are_understood():
    for word, meant in (("model=GRU", "gru"), ("model=Peephole_LSTM", "peephole_lstm"), ("task=Adding", "adding")):
        words = {"task": "task=adding", "model": "model=gru", word.partition("=")[0]: word}
        with pytest.raises(BadOption, match=f"did you mean '{meant}'\\?"):
            compose_jobs(list(words.values()), sweep=False)
