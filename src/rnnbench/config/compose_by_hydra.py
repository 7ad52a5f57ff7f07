"""What Hydra composes: from words that its grammar must read, and from a user's own files of --config-dir."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..options import BadOption
from ..plugins.references import NAME
from .checks import refuse_code
from .hydra_store import register_config, stored_choice
from .overrides import hydra_words, parse_overrides
from .plain_overrides import HYDRA_GROUPS, check_words, require_choices
from .schema import CHOICES, choice_names, load_yaml, trust_choice

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


def refuse_changed_hydra(cfg: DictConfig, choices: tuple[str, ...]) -> None:
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


def compose_by_hydra(overrides: Sequence[str], config_dir: str | None, declared: bool = False) -> dict[str, Any]:
    """What the checked words of one job make with the files of `config_dir`; BadOption where they cannot."""
    register_config()
    words = hydra_words(overrides)
    for word in words if not declared else ():
        trust_choice(word.key, word.value)
    check_words(words, own_files=config_dir is not None)
    return _composed(overrides, config_dir)


def _composed(overrides: Sequence[str], config_dir: str | None) -> dict[str, Any]:
    """What Hydra composes from `overrides`. Choices are composed once for each combination, values set on a copy."""
    given = tuple(line for line in overrides if line.partition("=")[0].lstrip("+~") in (*CHOICES, *HYDRA_GROUPS))
    choices = tuple(map(stored_choice, given))
    cfg = copy.deepcopy(_compose(choices, config_dir))
    if name := _own_model(choices, config_dir):
        OmegaConf.update(cfg, "model.name", name)
    for override in parse_overrides([line for line in overrides if line not in given]):
        if not override.key_or_group.startswith("hydra"):
            OmegaConf.update(cfg, override.key_or_group, override.value(), force_add=True)
    try:
        composed = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        said = str(error).splitlines()[0]
        if "Recursive" in said:
            said = "a value that refers to itself"
        raise BadOption(f"{error.full_key}: {said}" if error.full_key else said) from None
    assert isinstance(composed, dict)
    return {str(key): value for key, value in composed.items()}


def _own_model(choices: Sequence[str], config_dir: str | None) -> str:
    """What a model of the user's is called: as its file, which may extend another, unless the file says a name."""
    chosen = next((line.partition("=")[2].strip("'\"") for line in choices if line.startswith("model=")), "")
    path = Path(config_dir or "", "model", f"{chosen}.yaml")
    if not config_dir or not path.is_file() or "name" in load_yaml(path) or not NAME.fullmatch(path.stem):
        return ""
    return path.stem


@functools.cache
def _compose(choices: tuple[str, ...], config_dir: str | None) -> Any:
    require_choices({line.partition("=")[0].lstrip("+") for line in choices})
    GlobalHydra.instance().clear()
    place = initialize_config_dir(config_dir, version_base="1.3") if config_dir else None
    try:
        with place or initialize(config_path=None, version_base="1.3"):
            cfg = compose("config", overrides=list(choices), return_hydra_config=True)
        refuse_code(OmegaConf.to_container(cfg))
    except BadOption:
        raise
    except Exception as error:  # Hydra stumbles in many ways over a user's files
        said = " ".join(str(error).split())
        if isinstance(error, RecursionError):
            said = "files name each other in `defaults` without end"
        elif not said or not isinstance(error, HydraException):
            said = f"{type(error).__name__}: {said or 'it cannot be read'}"
        raise BadOption(f"--config-dir {config_dir}: {said}" if config_dir else said) from None
    if config_dir:
        refuse_changed_hydra(cfg, choices)
    OmegaConf.set_struct(cfg, False)
    del cfg["hydra"]
    return cfg
