"""The help of `rnnbench train`: its forms, what can be chosen, and a line for every setting of the choice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..config.compose import compose_jobs
from ..config.schema import CHOICES, SINGLE, choice_names, group_options, read_signature
from ..options import BadOption, Option
from .choices import option_facts
from .listing import option_lines, wrapped

USAGE = """\
usage: rnnbench train task=TASK model=MODEL [OPTION=VALUE ...]
       rnnbench train -m task=TASK,TASK model=MODEL,MODEL seed=0,1,2
       rnnbench train --again RUN
       rnnbench train --resume SWEEP

Train a model on a task, and record the run in runs/TASK/MODEL/. With -m, train
every combination of comma-separated values: a sweep. The same command, given
again, continues what was interrupted and does not repeat what is recorded.

flags:
  -m, --multirun          train a sweep
  --again RUN             continue a run by its folder, or print its record
  --resume SWEEP          continue a sweep by its name
  --cfg job               print the settings and train nothing
  --config-dir DIR        also look for named settings in DIR
  --info, --hydra-help    information from Hydra
  -h, --help              this help; with task= and model=, their options"""
EXAMPLES = {"task": "adding", "model": "lstm"}  # whose settings fill a place that is not chosen
TITLES = {
    "task": "task",
    "model": "model",
    "network": "network: what stands around the model",
    "train": "train: how the network is trained",
    "budget": "budget: a number of parameters in place of model.hidden_size",
    "trainer": "trainer: where the network is trained; changes no results",
    "tracker": "tracker: where a run is shown while it trains; changes no results",
}


def train_help(overrides: Sequence[str], config_dir: str | None, width: int) -> str:
    """What can be chosen, and each setting with its default and range. Options of a task or model only where one is named."""
    said = {word.partition("=")[0].lstrip("+") for word in overrides}
    named = [group for group in EXAMPLES if group in said]
    chosen = [*overrides, *(f"{group}={name}" for group, name in EXAMPLES.items() if group not in said)]
    try:
        settings = compose_jobs(chosen, sweep=False, config_dir=config_dir)[0].plain()
    except BadOption:  # settings that do not go together yet; those of the choice are shown all the same
        alone = [word for word in chosen if word.partition("=")[0] in EXAMPLES]
        settings = compose_jobs(alone, sweep=False, config_dir=config_dir)[0].plain()
    lines = [USAGE, "", "choices:"]
    lines += [wrapped(", ".join(choice_names(group)), width, f"  {group}=") for group in (*CHOICES, "hydra/launcher")]
    lines += ["", "settings, with their defaults:" if not named else f"settings of {' '.join(overrides)}:"]
    for title, rows in setting_groups(settings, named):
        lines += ["", title, *option_lines(rows, width)]
    return "\n".join(lines)


def setting_groups(settings: Mapping[str, Any], named: Sequence[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(title, options) of each group of settings; of the task and model what all have, unless they are `named`."""
    yield "run", [option_facts(key, option, settings[key]) for key, option in SINGLE.items()]
    for group, title in TITLES.items():
        options: Mapping[str, Option] = group_options(group, settings[group])
        if group in EXAMPLES and group not in named:
            title += f" ({group}=NAME --help shows the options of one)"
            options = read_signature("stack", "").options if group == "model" else {}
        yield (
            title,
            [
                option_facts(f"{group}.{key}", option, settings[group][key])
                for key, option in options.items()
                if key in settings[group]
            ],
        )
    launcher = group_options("launcher", {})
    yield (
        "hydra.launcher: how a sweep (-m) runs",
        [option_facts(f"hydra.launcher.{key}", option, option.default) for key, option in launcher.items()],
    )
