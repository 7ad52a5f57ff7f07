"""From the words of a command line to the checked settings of every job that they ask for.

Hydra is the front end: its grammar, its sweeps, its launchers, a user's own files of --config-dir. Overrides that are plain are
composed from our own files without it (plain_overrides.py), to the same settings. Neither a file nor an override may name code.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..console import counted
from ..options import BadOption, amount
from .checks import check_run, refuse_fast_dev_run, resolve
from .overrides import split_sweep
from .plain_overrides import check_words, compose_plainly, plain_word, plain_words
from .schema import SINGLE, trust_choice
from .settings import Settings


def compose_jobs(
    overrides: Sequence[str], sweep: bool, config_dir: str | None = None, declared: bool = False
) -> list[Settings]:
    """The checked settings of every job that `overrides` ask for; BadOption at the first that cannot be.

    Everything is checked before anything starts: names, keys, types, ranges, and that nothing names code. Of jobs that differ
    in the seed alone, the first is composed. `declared` overrides stand in a file: they may name no other file as code.
    """
    jobs = list(split_sweep(overrides, sweep))
    if not jobs:
        raise BadOption("the sweep has no run: an option of it has no value, such as range(0,0)")
    place = str(Path(config_dir).absolute()) if config_dir else None  # what is composed is remembered by it
    composed: dict[tuple[str, ...], Settings] = {}
    found = []
    for job in counted(jobs, f"of {amount(len(jobs), 'run')} checked"):
        others = tuple(line for line in job if not line.startswith("seed="))
        seeds = [word for line in job if line.startswith("seed=") and (word := plain_word(line))]
        if others in composed and len(job) - len(others) == len(seeds) == 1:
            found.append(_with_seed(composed[others], seeds[0].value))
        else:
            composed[others] = _job(job, place, declared)
            found.append(composed[others])
    if sweep:
        refuse_fast_dev_run(found, "a sweep")
    return found


def _with_seed(settings: Settings, seed: object) -> Settings:
    settings = settings.with_seed(SINGLE["seed"].check(seed, "seed"))
    check_run(settings)
    return settings


def _job(overrides: Sequence[str], config_dir: str | None, declared: bool) -> Settings:
    words = None if config_dir else plain_words(overrides)
    if words is None:
        from .compose_by_hydra import compose_by_hydra  # imports Hydra, which takes longer than all else here

        return resolve(compose_by_hydra(overrides, config_dir, declared))
    for word in words if not declared else ():
        trust_choice(word.key, word.value)
    check_words(words)
    return resolve(compose_plainly(words))
