"""From words to settings: the schema, composition, validation, and what makes two runs the same run.

The schema is read from the signatures (options.py); the files of conf/ are departures from it. Both go into Hydra's
ConfigStore, so that help, `--cfg`, completion and overrides know every option, and a user's own `--config-dir` can
build on any of them. Neither a file nor an override may name code. Nothing here imports torch.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..options import BadOption
from .checks import refuse_code, resolve
from .hydra_store import register_config
from .overrides import HYDRA_GROUPS, check_override, parse_overrides, split_sweep
from .schema import CHOICES, choice_names

OURS_ONLY = (
    "run",
    "sweep",
    "launcher",
    "sweeper",
    "job_logging",
    "hydra_logging",
    "env",
    "callbacks",
    "searchpath",
    "output_subdir",
    "job",
)


def _plain_node(node: Any) -> Any:
    plain = OmegaConf.to_container(node) if OmegaConf.is_config(node) else node
    varying = ("override_dirname", "name")  # of hydra.job: they follow the command line
    return {key: value for key, value in plain.items() if key not in varying} if isinstance(plain, dict) else plain


def refuse_changed_hydra(cfg: Any, choices: tuple[str, ...]) -> None:
    """BadOption where a user's files change how Hydra itself is set: its logging, say, can name classes to be made."""
    launching = tuple(line for line in choices if line.startswith("hydra/"))
    (task, model) = (f"{group}={choice_names(group)[0]}" for group in ("task", "model"))
    GlobalHydra.instance().clear()
    with initialize(config_path=None, version_base="1.3"):
        ours = compose("config", overrides=[task, model, *launching], return_hydra_config=True).hydra
    for key in OURS_ONLY:
        mine, theirs = (_plain_node(node.get(key)) for node in (ours, cfg.hydra))
        if mine != theirs:
            raise BadOption(
                f"hydra.{key} is changed by a file of --config-dir; files may set task, model, train and the like only"
            )


# Refusals


def compose_jobs(overrides: Sequence[str], sweep: bool, config_dir: str | None = None) -> list[dict[str, Any]]:
    """The checked settings of every job that `overrides` ask for; BadOption at the first that cannot be.

    Everything is checked before anything starts: names, keys, types, ranges, and that nothing names code.
    """
    register_config()
    found = []
    for job in split_sweep(overrides, sweep):
        parsed = parse_overrides(job)
        for override in parsed:
            check_override(override, parsed, own_files=config_dir is not None)
        found.append(resolve(_composed(job, config_dir)))
    return found


def _composed(overrides: Sequence[str], config_dir: str | None) -> dict[str, Any]:
    """What Hydra composes from `overrides`. Choices are composed once for each combination, values set on a copy."""
    choices = tuple(line for line in overrides if line.partition("=")[0].lstrip("+~") in (*CHOICES, *HYDRA_GROUPS))
    cfg = copy.deepcopy(_compose(choices, config_dir))
    for override in parse_overrides([line for line in overrides if line not in choices]):
        if not override.key_or_group.startswith("hydra"):
            OmegaConf.update(cfg, override.key_or_group, override.value(), force_add=True)
    try:
        composed = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        raise BadOption(str(error).splitlines()[0]) from None
    assert isinstance(composed, dict)
    return composed  # type: ignore[return-value]


@functools.cache
def _compose(choices: tuple[str, ...], config_dir: str | None) -> Any:
    for group in ("task", "model"):
        if not any(line.partition("=")[0].lstrip("+") == group for line in choices):
            raise BadOption(f"missing value: {group}=...; there are: {', '.join(choice_names(group))}")
    GlobalHydra.instance().clear()
    place = initialize_config_dir(str(Path(config_dir).absolute()), version_base="1.3") if config_dir else None
    try:
        with place or initialize(config_path=None, version_base="1.3"):
            cfg = compose("config", overrides=list(choices), return_hydra_config=True)
    except HydraException as error:
        raise BadOption(" ".join(str(error).split())) from None
    refuse_code(OmegaConf.to_container(cfg))
    if config_dir:
        refuse_changed_hydra(cfg, choices)
    OmegaConf.set_struct(cfg, False)
    del cfg["hydra"]
    return cfg
