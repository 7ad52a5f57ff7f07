"""The verbs that train: one run, a sweep, a run again, a search; and what a sweep would take.

Everything that is asked for is checked before anything starts. Nothing heavy is imported before that.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from .options import BadOption, named, unknown
from .wording import say


def train(words: list[str]) -> int:
    """Checks everything that is asked for, then hands over to Hydra."""
    if "--again" in words:
        return again(words)
    from hydra._internal.utils import get_args_parser

    from . import config, launcher, worker

    hydra = get_args_parser()
    hydra.prog = "rnnbench train"
    hydra.error = refuse  # type: ignore[method-assign]
    asked = hydra.parse_intermixed_args(words)
    flags = [word for word in words if word not in asked.overrides]
    overrides = list(asked.overrides)
    if asked.experimental_rerun or asked.config_path or asked.config_name:
        raise BadOption(
            "--experimental-rerun, --config-path and --config-name are not allowed; --config-dir adds settings of yours"
        )
    if asked.help:
        from . import listing

        print(listing.train(overrides, asked.config_dir))
        return 0
    config.register()
    launcher.register()
    shown = asked.hydra_help or asked.cfg or asked.info or asked.shell_completion
    if not asked.hydra_help and not asked.shell_completion:
        jobs = config.jobs(overrides, asked.multirun, asked.config_dir)
        if asked.multirun and not shown:
            worker.begin()  # imports beside what follows
        if not shown:
            check_locks(jobs)
            check_tracker(jobs)
        if not shown and asked.multirun:
            if os.environ.get("WANDB_SWEEP_ID"):
                raise BadOption("-m: an agent of a W&B sweep asks for one run at a time; leave -m out of its command")
            check_launcher(overrides)
            common = sweep_words(overrides, jobs)
            launcher.prepare(jobs, [job + common for job in config.split(overrides, sweep=True)], sweep_name(overrides, jobs))
            overrides = config.swept(overrides) + common
        elif not shown:
            check_data(jobs)
    return hand_over([*overrides, *flags], asked.multirun)


def check_launcher(words: Sequence[str]) -> None:
    """BadOption where the launcher that is asked for needs a package that is not there."""
    from . import launcher

    asked = [word.partition("=")[2] for word in words if word.startswith("hydra/launcher=")]
    launcher.check_extra(asked[-1] if asked else "processes")


def check_data(jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Prepares the data of the jobs' tasks before the first starts; BadOption where they, or a network, cannot be had.

    Returns run.survey of them.
    """
    from . import run

    try:
        return run.survey(jobs)
    except (ValueError, OSError) as error:
        raise BadOption(str(error)) from None


def check_tracker(jobs: Sequence[dict[str, Any]]) -> None:
    """BadOption where W&B is asked to be online and cannot be."""
    from . import tracking

    for options in {str(job["tracker"]): job["tracker"] for job in jobs}.values():
        if options.get("mode") == "online":
            try:
                tracking.make(options)
            except tracking.TrackerUnavailable as error:
                raise BadOption(str(error)) from None


def check_locks(jobs: Sequence[dict[str, Any]]) -> None:
    """BadOption where the folder of runs cannot be written to, or cannot keep two processes out of one run."""
    from .config import writable
    from .lease import try_locks

    for place in {Path(job["runs"]).absolute() for job in jobs}:
        there = writable(str(place))
        try:
            try_locks(there)
        except OSError as error:
            raise BadOption(str(error)) from None


def sweep_name(overrides: Sequence[str], jobs: Sequence[dict[str, Any]]) -> str:
    """What the user called it, or a name that is the same when the same command is given again."""
    from .records import digest

    settings = sorted(word for word in overrides if not word.startswith("hydra"))
    return str(jobs[0]["sweep"] or f"sweep-{digest(settings)[:8]}")


def sweep_words(overrides: Sequence[str], jobs: Sequence[dict[str, Any]]) -> list[str]:
    """The sweep's name and Hydra's folder for it, where the user has not said them."""
    name = sweep_name(overrides, jobs)
    named = any(word.startswith("sweep=") for word in overrides)
    placed = any(word.startswith("hydra.sweep.dir=") for word in overrides)
    runs = Path(jobs[0]["runs"]).absolute()  # a job may be run from another folder
    words = [f"++runs='{runs}'"] * (len({job["runs"] for job in jobs}) == 1) + [f"sweep={name}"] * (not named)
    return words + [f"hydra.sweep.dir='{runs / 'sweeps' / name}'"] * (not placed)


def hand_over(words: list[str], sweep: bool) -> int:
    """Hydra composes and launches; a job that fails is one line, and the others go on."""
    import hydra

    from .config import resolve

    def job(cfg: Any) -> float | None:
        from hydra.errors import CompactHydraException
        from omegaconf import OmegaConf

        from . import run

        try:
            record = perform(resolve(OmegaConf.to_container(cfg, resolve=True)))  # type: ignore[arg-type]
        except run.RunFailed as error:
            if sweep or os.environ.get("HYDRA_FULL_ERROR"):
                raise CompactHydraException(str(error)) from None
            print(f"rnnbench: {error}", file=sys.stderr)
            sys.exit(1)
        return record["scores"]["test"][record["task"]["headline"]] if record and record["scores"]["test"] else None

    before, sys.argv = sys.argv, ["rnnbench train", *words]
    try:
        hydra.main(version_base="1.3", config_path=None, config_name="config")(job)()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    finally:
        sys.argv = before
    return 0


def perform(config: dict[str, Any]) -> dict[str, Any] | None:
    """The run's record; ends the program where a signal asked for that."""
    from . import run

    try:
        return run.execute(config)
    except run.Stopped as error:
        print(f"rnnbench: {error}; the same command goes on from there", file=sys.stderr, flush=True)
        if os.environ.get("SUBMITIT_EXECUTOR"):
            signal.raise_signal(signal.SIGUSR2)  # submitit puts the job into the queue again, and ends it
        sys.exit(error.code)


def again(words: list[str]) -> int:
    """`train --again RUN`: the run with the settings in its folder; where and how it is watched may be changed."""
    from . import config
    from .records import DamagedRecord, RunFolder

    place = words.index("--again")
    path, overrides = "".join(words[place + 1 : place + 2]), words[:place] + words[place + 2 :]
    if not path:
        raise BadOption("missing value: --again RUN, a run folder")
    for word in overrides:
        if not word.startswith(("trainer.", "tracker.", "accept_changes=")):
            raise BadOption(
                f"{word}: --again RUN takes the run's own settings; with it stand trainer.*, tracker.*, accept_changes"
            )
    try:
        settings = RunFolder(Path(path)).config()
    except (DamagedRecord, OSError) as error:
        raise BadOption(f"--again {path}: no run folder ({error})") from None
    settings = config.changed({key: value for key, value in settings.items() if key not in ("id", "setting")}, overrides)
    settings = config.resolve({**settings, "runs": str([*Path(path).absolute().parents, Path("/")][:3][-1])})
    check_locks([settings])
    check_tracker([settings])
    (found,) = check_data([settings])
    if Path(found["folder"]).resolve() != Path(path).resolve():
        raise BadOption(f"--again {path}: the run of its settings lies in {found['folder']}; a copy is not gone on with")
    from . import run

    try:
        perform(settings)
    except run.RunFailed as error:
        print(f"rnnbench: {error}", file=sys.stderr)
        return 1
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def refuse(message: str) -> NoReturn:
    """What Hydra's parser calls."""
    raise BadOption(f"{message} (try rnnbench train --help)")


def estimate(words: list[str]) -> int:
    from . import config, launcher

    words = [word for word in words if word not in ("-m", "--multirun")]
    jobs = config.jobs(words, sweep=True)
    launcher.prepare(jobs, list(config.split(words, sweep=True)), sweep_name(words, jobs))
    return tell(words)


def tell(words: Sequence[str]) -> int:
    """Prints what the prepared sweep would take with the workers that `words` ask for."""
    from . import launcher

    workers = [word.partition("=")[2] for word in words if word.startswith("hydra.launcher.workers=")]
    for line in launcher.estimate(int(workers[-1]) if "".join(workers[-1:]).isdigit() else launcher.cores()):
        print(line, flush=True)
    return 0


def launch(lines: Sequence[Sequence[str]], sweep: str, launching: Sequence[str], estimated: bool = False) -> int:
    """Runs the jobs of `lines`, which need not share anything, as one sweep; with `estimated` only says what it would take.

    `launching` are words for all of them: of Hydra's launchers, trainer.*, tracker.*, runs=.
    """
    from . import config, launcher

    config.register()
    launcher.register()
    own = [word for word in launching if not word.startswith("hydra")]
    common = [*own, f"sweep={sweep}"]
    jobs = [config.jobs([*line, *common], sweep=False)[0] for line in lines]
    config.jobs([*lines[0], *launching], sweep=False)  # what is said of the launcher
    if not estimated:
        check_locks(jobs[:1])
        check_tracker(jobs[:1])
        check_launcher(launching)
    placed = [f"sweep={sweep}", *sweep_words([f"sweep={sweep}"], jobs)]
    elsewhere = [word for word in own if not word.startswith("runs=")]
    launcher.prepare(jobs, [[*line, *elsewhere, *placed] for line in lines], sweep)
    if estimated:
        return tell(launching)
    kinds = [word for word in lines[0] if word.startswith(("task=", "model="))]
    return hand_over([*kinds, *(word for word in launching if word.startswith("hydra")), *placed, "--multirun"], sweep=True)


def sweep(options: argparse.Namespace) -> int:
    """The runs that a file lists, a command line each, as one sweep; or those of a table that are not there yet."""
    from . import config

    if not Path(options.what).is_file():
        return reproduce(options)
    if options.rows or options.columns or options.scale or options.published or options.again:
        raise BadOption("--rows, --columns, --scale, --as and --again are of tables; a file is run whole")
    listed = config.load_yaml(Path(options.what))
    if set(listed) - {"shared", "runs"} or not isinstance(listed.get("runs"), list) or not listed["runs"]:
        raise BadOption(f"{options.what}: `runs:`, a list of command lines such as `task=adding model=lstm,gru`, and `shared:`")
    try:
        shared = shlex.split(str(listed.get("shared", "")))
        lines = [job for line in listed["runs"] for job in config.split([*shlex.split(str(line)), *shared], sweep=True)]
    except (BadOption, ValueError) as error:
        raise BadOption(f"{options.what}: {error}") from None
    return launch(lines, _word(Path(options.what).stem), _launching(options.words), options.estimate)


def _word(name: str) -> str:
    """`name` as a sweep may be called; with digits of its digest where it cannot stand as it is: two names are two sweeps."""
    from .records import digest

    word = re.sub(r"[^\w.-]", "-", name, flags=re.ASCII).lstrip(".-")[:90]
    return word if word == name else f"{word or 'sweep'}-{digest(name)[:8]}"


def _launching(words: Sequence[str]) -> list[str]:
    for word in words:
        if not word.startswith(("trainer.", "trainer=", "tracker.", "tracker=", "runs=", "hydra/launcher=", "hydra.launcher.")):
            raise BadOption(
                f"{word}: what is run is declared; beside it may stand trainer.*, tracker.*, runs=, hydra/launcher=, "
                "hydra.launcher.*"
            )
    return list(words)


def reproduce(options: argparse.Namespace) -> int:
    """Runs what a table lacks, more seeds where a verdict stays open, and shows it; with --again what is committed, too."""
    from . import asking, declared, reproductions

    table = declared.load(options.what)
    rows = named("row", options.rows, list(table.grid.rows))
    launching = _launching(options.words)
    cells = []
    for row in sorted(rows, key=lambda row: table.grid.rows[row].priority):
        scale = options.scale or table.scales(row)[-1]
        if scale != "smoke" and scale not in table.scales(row):
            if options.rows:
                raise unknown("scale", f"{scale} of {row}", [*table.scales(row), "smoke"])
            continue
        if options.published == "published":
            cells += [cell for rungs in table.rungs(row) for cell in rungs]
            continue
        columns = table.columns(row)
        wanted = [name for name in options.columns.split(",") if name in columns] if options.columns else list(columns)
        cells += [table.cell(row, column, scale) for column in wanted]
    if options.columns:
        named("column", options.columns, [column for row in rows for column in table.columns(row)])
    if options.published == "published" and (options.scale or options.columns):
        raise BadOption("--as published: the grid declares the ladder's scale and columns; without --scale and --columns")
    if options.published == "published" and not cells:
        raise BadOption(f"--as published: no row of these has a ladder; rows that have: {', '.join(_ladders(table)) or 'none'}")
    if not cells:
        raise BadOption(f"nothing to run: no row has the scale {options.scale}")
    runs = next((Path(word.partition("=")[2]) for word in launching if word.startswith("runs=")), Path("runs"))
    code, look = 0, 0
    todo, own = list(cells), asking.measured(table, runs, options.scale)
    here = asking.measured(table, runs, options.scale, committed=False) if options.again else own
    while todo:
        for rank in sorted({table.grid.rows[cell.row].priority for cell in todo}):
            group = [cell for cell in todo if table.grid.rows[cell.row].priority == rank]
            minutes = {
                (cell.words, seed): cell.minutes or 0
                for cell in group
                for seed in {*range(cell.seeds.at(look)), *(own.cells[cell.place].runs if options.again else ())}
                if seed not in here.cells[cell.place].runs
            }
            hours = sum(minutes.values()) / 60  # one run may serve several cells
            say(f"{table.name}, priority {rank}: {len(group)} cells, {len(minutes)} runs, declared as {hours:.2g} core-hours")
            if not minutes:
                known = [own.cells[cell.place] for cell in group]
                committed = any(seed not in measured.folders for measured in known for seed in measured.runs)
                say("  what they ask for is recorded" + "; --again makes it here once more" * (committed and not options.again))
            lines = [[*words, f"seed={seed}"] for words, seed in minutes]
            ended = launch(lines, _word(table.name), launching, options.estimate) if lines else 0
            if ended > 1:
                return ended
            code = max(code, ended)
        if options.estimate:
            return code
        look += 1
        own = here = asking.measured(table, runs, options.scale)
        if options.again:
            break
        open_ = reproductions.undecided(own, rows)
        todo = [cell for cell in cells if (cell.row, cell.column) in open_ and len(cell.seeds.looks) > look]
    asking.show(own, [row for row in rows if row in own.rows], "terminal")
    return code


def _ladders(table: Any) -> list[str]:
    return [row for row, about in table.grid.rows.items() if about.ladder]


def tune(options: argparse.Namespace) -> int:
    from . import config, space
    from .records import digest

    models = [word for word in options.words if "=" not in word]
    shared = [word for word in options.words if "=" in word]
    if not models:
        raise BadOption(f"missing value: MODEL; there are: {', '.join(config.names('model'))}")
    for name, least, most in (("trials", 1, None), ("workers", 1, None), ("seed", 0, config.TUNING - 1)):
        if not least <= (given := getattr(options, name)) or (most is not None and given > most):
            raise BadOption(f"--{name} {given}: {least} or more" + ("" if most is None else f", at most {most}"))
    config.writable(str(options.searches), "--searches ")
    rules = space.load(options.space)
    for word in shared:
        if word.startswith(("seed=", "test=", "runs=", "sweep=", *(f"{key}=" for key in rules))):
            raise BadOption(f"{word}: the search sets that")
    words = {
        model: [f"task={options.task}", f"model={model}", *shared, f"seed={config.TUNING + options.seed}", "test=false"]
        for model in models
    }
    jobs = [config.jobs(each, sweep=False)[0] for each in words.values()]  # all, before anything is written
    dimensions = space.dimensions(rules, [{"task": options.task, "model": model} for model in models])
    try:
        from . import search
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise BadOption("`rnnbench tune` needs Optuna: pip install 'rnnbench[search]'") from None
    from .worker import asked, look_up

    if options.storage:
        search.check_storage(options.storage)
    asked(look_up, jobs)  # prepares the data
    direction = config.signature("task", jobs[0]["task"]["name"]).constants["direction"]
    code = 0
    for model in models:
        how = [words[model], rules, options.sampler, options.seed, not options.no_prune]
        name = f"{options.task}-{model}-{digest(how)[:8]}"
        study = search.Study(
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
            study.run(options.trials, options.workers)
        except KeyboardInterrupt:
            print("rnnbench: interrupted; the same command goes on with the rest", file=sys.stderr, flush=True)
            raise
        found = study.save()
        print(*search.told(name, found), sep="\n", flush=True)
        code = max(code, int(found["best"] is None))
    return code
