"""Refusals: unknown names and options, values out of range, options that exclude each other, and anything that names code."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rnnbench.tasks import find_task

from ..groups import BudgetSettings, NetworkSettings, TrainerSettings, TrainSettings
from ..models.registry import find_mechanism, mechanism_files, mechanism_names
from ..options import BadOption, plain_text, shortened, unknown
from ..plugins.callbacks import check_callbacks
from ..plugins.references import NAME, is_file
from ..store.record import Config
from ..tracking.make import tracker_names
from .budget import parse_count
from .liveness import Liveness
from .schema import (
    LAUNCHERS,
    NAMING,
    SINGLE,
    SWEEPER,
    TUNING,
    choice_names,
    file_departures,
    group_options,
    is_choice,
    read_signature,
)
from .settings import Choice, Settings

CODE = re.compile(r"_target_|_partial_|_call_|\(\)")
LAUNCHING = (
    *LAUNCHERS.values(),
    SWEEPER,
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
)
ROW_BY_ROW = {  # what the loops of train.rule=online and guess compute
    "train.batch_size": 1,
    "train.precision": "64",
    "network.kind": "plain",
    "network.output": "logistic",
    "network.embedding": 0,
    "network.read": "last",
    "network.dropout": 0,
    "network.rectified": False,
    "network.tied": False,
    "network.backend": "auto",
    "model.layers": 1,
    "model.bidirectional": False,
    "model.two_forward": False,
    "model.recurrent_dropout": 0,
    "model.zoneout": 0,
    "model.cell_zoneout": 0,
    "model.initial_state": "zero",
    "model.truncated": True,
    "model.nonlinearity": "sigmoid",
    "model.biases": 0,
    "trainer.accelerator": "cpu",
    "trainer.devices": 1,
    "trainer.nodes": 1,
    "trainer.micro_batches": 1,
    "trainer.recompute": False,
    "trainer.profiler": "none",
    "trainer.callbacks": [],
}
GUESSED = (  # first weights, which guesses replace
    "network.spread",
    "network.output_spread",
    "model.spread",
    "model.input_bias",
    "model.output_bias",
    "model.forget_bias",
    "model.bias_spread",
)
WIDEST_RTRL = 64  # units: 17 million products a step
PLAIN = re.compile(r"\$\{[\w.]+\}")  # an interpolation that only names another setting


def resolve(composed: Config) -> Settings:
    """Composed settings, checked against the signatures; BadOption for what is unknown, missing, mistyped or out of range."""
    checked: dict[str, Any] = {}
    for group in ("task", "model", "network", "train", "budget", "trainer", "tracker"):
        given = dict(composed.get(group) or {})
        naming = {key: given.pop(key) for key in NAMING.get(group, ()) if key in given}
        _check_names(group, naming)
        known = group_options(group, naming)
        if group == "trainer" and isinstance(given.get("devices"), str):
            given["devices"] = _devices_at_hand(given)
        for key in given:
            if key not in known:
                raise unknown("option", f"{group}.{key}", [f"{group}.{name}" for name in known])
        values = {name: option.check(given.get(name, option.default), f"{group}.{name}") for name, option in known.items()}
        checked[group] = {**naming, **values}
    extra = set(composed) - set(checked) - {*SINGLE, "hydra"}
    if extra:
        raise unknown("option", sorted(extra)[0], [*checked, *SINGLE])
    for name, option in SINGLE.items():
        checked[name] = option.check(composed.get(name, option.default), name)
    settings = settings_of(checked)
    check_together(settings)
    return settings


def _devices_at_hand(trainer: Mapping[str, Any]) -> int:
    """How many devices `trainer.devices=auto` are here: a number from now on, so that config.yaml and the record hold it."""
    accelerator, nodes = (trainer.get(name, getattr(TrainerSettings, name)) for name in ("accelerator", "nodes"))
    if trainer["devices"] != "auto":
        raise BadOption(
            f"trainer.devices={shortened(repr(trainer['devices']))} is not allowed; allowed: whole number, at least 1, or auto"
        )
    if nodes != 1:
        raise BadOption(
            f"trainer.devices=auto counts the devices of this machine, and trainer.nodes={nodes} asks for others; "
            "say how many each machine has, such as trainer.devices=8"
        )
    if accelerator == "cpu":
        return 1
    import torch  # it takes seconds, and only this option needs it here

    return max(1, torch.cuda.device_count())


def with_model(settings: Settings, model: Config) -> Settings:
    """The same settings with another model, as conf/model holds it."""
    return settings_of({**settings.plain(), "model": model})


def with_effect(settings: Settings) -> Settings:
    """The same settings, with the default in place of what has no effect beside the others."""
    plain = settings.plain()
    liveness = Liveness(plain)
    if not (without := liveness.effectless()):
        return settings
    for key in without:
        group, _, name = key.partition(".")
        plain[group][name] = liveness.default(group, name)
    return settings_of(plain)


def settings_of(checked: Config) -> Settings:
    """Checked values as settings."""
    task, model, tracker = (dict(checked[group]) for group in ("task", "model", "tracker"))
    setting, mechanism = model.pop("name"), model.pop("mechanism")
    task_file, model_file = task.pop("class", ""), model.pop("class", "")
    stack = {name: model.pop(name) for name in read_signature("stack", "").options if name in model}
    return Settings(
        Choice(task.pop("name"), task, task_file),
        setting,
        Choice(mechanism, model, model_file),
        stack,
        NetworkSettings(**checked["network"]),
        TrainSettings(**checked["train"]),
        BudgetSettings(**checked["budget"]),
        TrainerSettings(**checked["trainer"]),
        Choice(tracker.pop("name"), tracker),
        **{name: checked[name] for name in SINGLE},
    )


def _check_names(group: str, naming: Mapping[str, Any]) -> None:
    for key in NAMING.get(group, ()):
        if not isinstance(naming.get(key), str) and (key != "class" or key in naming):
            raise BadOption(f"{group}.{key}={naming.get(key)!r} is not allowed; allowed: a name, which a file has to say")
    if "class" in naming:
        if not is_file(naming["class"]):
            raise BadOption(
                f"{group}.class={shortened(naming['class'])} is not allowed; allowed: a file with a class, FILE.py:CLASS"
            )
    elif group == "task":
        find_task(str(naming.get("name")))
    elif group == "model":
        find_mechanism(str(naming.get("mechanism")))
    for key in ("name", "mechanism"):
        if "class" in naming and not NAME.fullmatch(naming.get(key, "mechanism")):
            raise BadOption(f"{group}.{key}={shortened(naming[key])} is not allowed; allowed: letters, digits, _ and -")
    if group == "model" and not NAME.fullmatch(str(naming.get("name"))):
        raise BadOption(f"model.name={naming.get('name')!r} is not allowed; allowed: letters, digits, _ and -")
    if group == "tracker" and not is_choice(group, naming.get("name")):
        raise unknown("tracker", str(naming.get("name")), tracker_names())


def check_together(settings: Settings) -> None:
    """BadOption for what each option allows by itself but not beside the others."""
    _check_writing(settings)
    _check_directions(settings)
    _check_budget(settings.budget)
    _check_rule(settings)
    network, train, writer = settings.network, settings.train, settings.network.writer
    if network.backend == "library" and train.instruments:
        raise BadOption(
            "network.backend=library does not show the gradient of every step; allowed: train.instruments=false beside it"
        )
    if writer and writer not in mechanism_names():
        raise unknown("mechanism", writer, mechanism_names())
    _check_rows(settings)
    check_callbacks(settings.trainer.callbacks)
    for name in settings.tracker.options.get("also", ()):
        if not is_choice("tracker", name) or name in ("auto", settings.tracker.name):
            raise unknown("tracker for tracker.also", name, {*tracker_names()} - {"auto", settings.tracker.name})
    check_run(settings)


def refuse_fast_dev_run(jobs: Iterable[Settings], where: str) -> None:
    """BadOption where one of `jobs` is to leave no record, and what is asked for, `where`, is made of records."""
    if any(job.trainer.fast_dev_run for job in jobs):
        raise BadOption(
            f"trainer.fast_dev_run=true leaves no record, and {where} needs those of its runs; allowed: `rnnbench train` of "
            "one run, without -m"
        )


def _check_rows(settings: Settings) -> None:
    """BadOption where a batch has too few rows for the devices, or for the micro batches of each."""
    rows, trainer = settings.train.batch_size, settings.trainer
    if rows < trainer.devices:
        raise BadOption(
            f"train.batch_size={rows} is less than trainer.devices={trainer.devices}; each device needs at least one sequence"
        )
    if rows < trainer.micro_batches * trainer.devices * trainer.nodes:
        on = f" on {trainer.devices * trainer.nodes} devices" if trainer.devices * trainer.nodes > 1 else ""
        raise BadOption(
            f"train.batch_size={rows} has too few rows for trainer.micro_batches={trainer.micro_batches}{on}; "
            "each micro batch needs at least one sequence; choose fewer, or a larger batch"
        )


def _check_writing(settings: Settings) -> None:
    """What only a task that writes from a source, or only an encoder-decoder, has."""
    network, train, stack, task = settings.network, settings.train, settings.stack, settings.task.name
    writes = read_signature("task", settings.task.reference).constants["structure"] in ("N->M", "1->N")
    if network.kind == "encoder_decoder" and not writes:
        raise BadOption(f"network.kind=encoder_decoder needs a task with a source, and task={task} has none; allowed: plain")
    for name, neutral in (("attention", "none"), ("writer", "")):
        value = getattr(network, name)
        if value != neutral and network.kind == "plain":
            raise BadOption(
                f"network.{name}={value} needs network.kind=encoder_decoder; a plain network has network.{name}={neutral}"
            )
    forced = train.forcing == train.forcing_end == 1
    if network.kind == "plain" and not forced:
        raise BadOption("train.forcing below 1 needs network.kind=encoder_decoder; a plain network reads what was written")
    if train.beam > 1 and not writes:
        raise BadOption(f"train.beam={train.beam}: task={task} writes no answer; allowed: 1")
    by_step = network.attention == "additive" or not forced
    if by_step and (stack["recurrent_dropout"] or (stack["dropout"] and stack["dropout_mask"] == "sequence")):
        raise BadOption(
            "one dropout mask per sequence (model.recurrent_dropout, model.dropout_mask=sequence) needs a decoder that reads "
            "the whole target at once; not allowed beside it: network.attention=additive, train.forcing below 1"
        )
    if stack["bidirectional"] and writes and network.kind == "plain":
        raise BadOption(
            f"model={settings.setting} reads both directions, and a plain network writes with the same core; "
            "allowed: network.kind=encoder_decoder, or model.bidirectional=false"
        )


def _check_directions(settings: Settings) -> None:
    if settings.stack["bidirectional"] and read_signature("task", settings.task.reference).constants["causal"]:
        fitting = [name for name in choice_names("model") if not file_departures("model", name).get("bidirectional")]
        raise BadOption(
            f"model={settings.setting} reads both directions, and task={settings.task.name} is causal (a step may not see "
            f"later ones); models that fit: {', '.join(fitting)}"
        )


def _row_rules(mechanism: str) -> tuple[str, ...]:
    """The values of train.rule by which a mechanism can be trained row by row; `streams` where on streams, too."""
    return tuple(read_signature("mechanism", mechanism).constants.get("row_rules", ()))


def _check_rule(settings: Settings) -> None:
    """What is trained row by row, and how: by train.rule=online or guess, or on streams."""
    train, streams = settings.train, _stream_form(settings)
    if train.rule == "batch" and not streams:
        return
    how, said = ("streams", f"task.form={streams}") if streams else (train.rule, f"train.rule={train.rule}")
    if how not in _row_rules(settings.model.reference):
        able = [name for name in mechanism_files() if how in _row_rules(name)]
        raise BadOption(f"{said} trains {', '.join(able)}; got model.mechanism={settings.model.name}")
    plain, allowed = settings.plain(), dict(ROW_BY_ROW)
    if streams:
        allowed |= {"train.rule": "online", "train.each_step": True, "train.window": 0, "train.cells_after": 0}
    elif train.rule == "guess":
        liveness = Liveness(plain)
        allowed |= {key: liveness.default(*key.split(".")) for key in GUESSED} | {"train.stop_when_solved": True}
    named = {key: key.partition(".")[::2] for key in allowed}
    given = {key: plain[group][name] for key, (group, name) in named.items() if name in plain[group]}
    wrong = {key: (plain_text(got), plain_text(allowed[key])) for key, got in given.items() if got != allowed[key]}
    if train.rule == "guess" and not train.window:
        wrong["train.window"] = "0", "256 (or another number of rows)"
    if len(wrong) > 1:
        needed, instead = (" ".join(f"{key}={texts[side]}" for key, texts in wrong.items()) for side in (1, 0))
        raise BadOption(f"{said} needs {needed}; got {instead}")
    for key, (got, wanted) in wrong.items():
        raise BadOption(f"{key}={got} beside {said} is not allowed; allowed: {wanted}")
    if not settings.budget.is_set:
        check_rtrl_width(settings)
    _check_row_ends(settings)


def check_rtrl_width(settings: Settings) -> None:
    """BadOption where real-time recurrent learning of so many units would take too long."""
    train, model = settings.train, settings.model
    if train.rule == "online" and model.reference == "rnn" and model.options["hidden_size"] > WIDEST_RTRL:
        budget = "the budget gives " if settings.budget.is_set else ""
        raise BadOption(
            f"{budget}model.hidden_size={model.options['hidden_size']}; beside train.rule=online model=rnn takes time by "
            f"the fourth power of it (real-time recurrent learning); allowed: at most {WIDEST_RTRL}"
        )


def _check_row_ends(settings: Settings) -> None:
    """BadOption where every window of rows would end training, or a cell that is added later never is."""
    train = settings.train
    if train.rule == "online" and train.window and train.window_wrong >= train.window and train.window_error >= 1:
        raise BadOption(
            f"train.window_wrong={train.window_wrong} beside train.window={train.window}: every window ends training; allowed: "
            f"less than {train.window}, or a train.window_error below 1"
        )
    if settings.network.direct and 2 * train.cells_after >= train.steps:
        raise BadOption(
            f"train.cells_after={train.cells_after} beside train.steps={train.steps}: no cell is ever added; allowed: less "
            f"than {(train.steps + 1) // 2}"
        )


def _stream_form(settings: Settings) -> str:
    """The form of the task where it is that of streams, which end at the first wrong prediction; else empty."""
    form = read_signature("task", settings.task.reference).constants.get("streams_form")
    return str(form) if form is not None and settings.task.options.get("form") == form else ""


def _check_budget(budget: BudgetSettings) -> None:
    if budget.params:
        parse_count(budget.params)
    if budget.match and budget.match not in choice_names("model"):
        raise unknown("model", budget.match, choice_names("model"))
    if bool(budget.match) != bool(budget.width) or (budget.params and budget.match):
        raise BadOption("a budget is budget.params=COUNT, or budget.match=MODEL with budget.width=HIDDEN_SIZE")


def check_run(settings: Settings) -> None:
    """Its seed, and the names of its sweep and folder."""
    seed, sweep, runs = settings.seed, settings.sweep, settings.runs
    if settings.test == (seed >= TUNING):
        raise BadOption(
            f"seed={seed} with test={str(settings.test).lower()}: seeds from {TUNING} on are those of searches "
            "(`rnnbench tune`), which never read the test split; a run that does takes one below"
        )
    if sweep is not None and not re.fullmatch(r"\w[\w.-]{0,99}", sweep, re.ASCII):
        raise BadOption(f"sweep={sweep!r} is not allowed; allowed: letters, digits, _, - and ., the first no sign")
    if "\0" in runs or any(len(os.fsencode(part)) > 255 for part in Path(runs).parts):
        raise BadOption(f"runs={runs[:50]!r}: no folder can have that name")


def writable_folder(folder: str, option: str = "runs=") -> Path:
    """What there is already of the `folder` that `option` names; BadOption where it cannot be made or written to."""
    place = Path(folder).absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            raise OSError
        if not Path(folder).exists():
            tempfile.TemporaryDirectory(dir=place).cleanup()  # /proc, say, takes none, whatever its rights say
    except OSError:
        raise BadOption(f"{option}{folder!r}: no folder can be written there ({place} is not a writable folder)") from None
    return place


def refuse_code(composed: object, where: str = "") -> None:
    """BadOption if anything in the composed settings, Hydra's own included, names code that is not ours or Hydra's."""
    if isinstance(composed, Mapping):
        for key, value in composed.items():
            place = f"{where}.{key}" if where else str(key)
            ours = place in ("hydra.launcher._target_", "hydra.sweeper._target_") and str(value) in LAUNCHING
            if (CODE.search(str(key)) and not ours) or (place == "hydra.callbacks" and value):
                raise BadOption(f"{place}={value!r}: settings are texts and numbers; code is not allowed")
            refuse_code(value, place)
    elif isinstance(composed, list | tuple):
        for item in composed:
            refuse_code(item, where)
    elif isinstance(composed, str) and not where.startswith("hydra") and "${" in PLAIN.sub("", composed):
        raise BadOption(f"{where}={composed!r}: settings are texts and numbers; resolvers are not allowed")
