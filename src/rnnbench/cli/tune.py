"""The verb tune: a search of settings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..config.checks import refuse_fast_dev_run, writable_folder
from ..config.compose import compose_jobs
from ..config.experiments import with_experiment
from ..config.schema import TUNING, choice_names, read_signature
from ..config.winners import add_winners, read_winners, winner_of_search
from ..console import say
from ..launch.capacity import most_workers
from ..launch.prepare import say_notes
from ..launch.sweep import check_effects, check_machines, check_workers, sweep_word
from ..launch.worker import call_in_process
from ..options import BadOption, amount
from ..plugins.references import Kind, file_plugin, is_file
from ..search.space import load_space, search_dimensions
from ..store.record import Config, digest


def absolute_choice(kind: Kind, name: str) -> str:
    """`name`; of a file with a class the absolute one, so that a study is the same wherever it is continued."""
    return file_plugin(kind, name).reference if is_file(name) else name


def _check_flags(options: argparse.Namespace, shared: Sequence[str]) -> Config:
    """The rules of the space; BadOption for a flag out of range, and for a word that sets what the search sets."""
    for name, least, most in (("trials", 1, None), ("workers", 1, None), ("seed", 0, TUNING - 1)):
        if not least <= (given := getattr(options, name)) or (most is not None and given > most):
            raise BadOption(f"--{name} {given}: {least} or more" + ("" if most is None else f", at most {most}"))
    writable_folder(str(options.searches), "--searches ")
    if (winners := options.searches / "winners.yaml").exists():
        read_winners(winners)
    rules = load_space(options.space)
    for word in shared:
        if word.startswith(("seed=", "test=", "runs=", "sweep=", *(f"{key}=" for key in rules))):
            raise BadOption(f"{word}: the search sets that")
    return rules


def tune_command(options: argparse.Namespace) -> int:
    """A study for each task and model; all are checked before the first begins. The winners go into winners.yaml."""
    tasks = list(dict.fromkeys(absolute_choice("task", task) for task in options.task.split(",")))
    models = [absolute_choice("model", word) for word in options.words if "=" not in word]
    shared = [word for word in options.words if "=" in word]
    if not models:
        raise BadOption(f"missing value: MODEL; there are: {', '.join(choice_names('model'))}")
    rules = _check_flags(options, shared)
    words = {
        (task, model): with_experiment(
            [f"task={task}", f"model={model}", *shared, f"seed={TUNING + options.seed}", "test=false"]
        )
        for task in tasks
        for model in models
    }
    jobs = [compose_jobs(each, sweep=False)[0] for each in words.values()]  # all, before anything is written
    refuse_fast_dev_run(jobs, "a search")
    dimensions = search_dimensions(rules, [{"task": task, "model": model} for task, model in words])
    winners = options.searches / "winners.yaml"
    try:
        from ..search.study import Study, check_storage, study_lines
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise BadOption("`rnnbench tune` needs Optuna: pip install 'rnnbench[search]'") from None
    if options.storage:
        check_storage(options.storage)
    check_effects(jobs, set(), sweep=True)
    check_machines(jobs)
    check_workers(jobs)
    say_notes(call_in_process("look_up", jobs, "planning: data and sizes"))
    most, why = most_workers()
    if options.workers > most:
        say(f"{amount(most, 'trial')} at a time in place of {options.workers}: {why}", sys.stderr)
    code = 0
    for (task, model), job in zip(words, jobs, strict=True):
        how = [words[task, model], rules, options.sampler, options.seed, not options.no_prune]
        name = sweep_word(f"{task}-{model}-{digest(how)[:8]}")
        study = Study(
            (options.searches / name),
            words[task, model],
            dimensions,
            read_signature("task", job.task.reference).constants["direction"],
            options.sampler,
            not options.no_prune,
            options.seed,
            options.storage,
            label=f"{task}/{model}",
        )
        try:
            study.run(options.trials, min(options.workers, most))
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the same command continues with the rest") from None
        found = study.save()
        for line in study_lines(name, found):
            say(line)
        code = max(code, int(found["best"] is None))
        if found["best"] is not None:
            winner = winner_of_search(words[task, model], found["trials"][found["best"]]["params"])
            for replaced in add_winners(winners, {task: {model: winner}}):
                say(f"{winners}: the winner of {replaced} takes the place of an earlier one")
    if not code:
        say(str(winners))
    return code
