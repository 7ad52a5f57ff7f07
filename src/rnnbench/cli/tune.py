"""The verb tune: a search of settings."""

from __future__ import annotations

import argparse
import sys

from ..config.checks import refuse_fast_dev_run, writable_folder
from ..config.compose import compose_jobs
from ..config.experiments import with_experiment
from ..config.schema import TUNING, choice_names, read_signature
from ..console import say
from ..launch.capacity import most_workers
from ..launch.prepare import say_notes
from ..launch.sweep import check_effects, check_machines, check_workers, sweep_word
from ..launch.worker import call_in_process
from ..options import BadOption
from ..plugins.references import Kind, file_plugin, is_file
from ..search.space import load_space, search_dimensions
from ..store.record import digest


def absolute_choice(kind: Kind, name: str) -> str:
    """`name`; of a file with a class the absolute one, so that a study is the same wherever it is gone on with."""
    return file_plugin(kind, name).reference if is_file(name) else name


def tune_command(options: argparse.Namespace) -> int:
    options.task = absolute_choice("task", options.task)
    models = [absolute_choice("model", word) for word in options.words if "=" not in word]
    shared = [word for word in options.words if "=" in word]
    if not models:
        raise BadOption(f"missing value: MODEL; there are: {', '.join(choice_names('model'))}")
    for name, least, most in (("trials", 1, None), ("workers", 1, None), ("seed", 0, TUNING - 1)):
        if not least <= (given := getattr(options, name)) or (most is not None and given > most):
            raise BadOption(f"--{name} {given}: {least} or more" + ("" if most is None else f", at most {most}"))
    writable_folder(str(options.searches), "--searches ")
    rules = load_space(options.space)
    for word in shared:
        if word.startswith(("seed=", "test=", "runs=", "sweep=", *(f"{key}=" for key in rules))):
            raise BadOption(f"{word}: the search sets that")
    words = {
        model: with_experiment(
            [f"task={options.task}", f"model={model}", *shared, f"seed={TUNING + options.seed}", "test=false"]
        )
        for model in models
    }
    jobs = [compose_jobs(each, sweep=False)[0] for each in words.values()]  # all, before anything is written
    refuse_fast_dev_run(jobs, "a search")
    dimensions = search_dimensions(rules, [{"task": options.task, "model": model} for model in models])
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
        say(f"{most} trials at a time in place of {options.workers}: {why}", sys.stderr)
    direction = read_signature("task", jobs[0].task.reference).constants["direction"]
    code = 0
    for model in models:
        how = [words[model], rules, options.sampler, options.seed, not options.no_prune]
        name = sweep_word(f"{options.task}-{model}-{digest(how)[:8]}")
        study = Study(
            (options.searches / name),
            words[model],
            dimensions,
            direction,
            options.sampler,
            not options.no_prune,
            options.seed,
            options.storage,
            label=f"{options.task}/{model}",
        )
        try:
            study.run(options.trials, min(options.workers, most))
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the same command goes on with the rest") from None
        found = study.save()
        for line in study_lines(name, found):
            say(line)
        code = max(code, int(found["best"] is None))
    return code
