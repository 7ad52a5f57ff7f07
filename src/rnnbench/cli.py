"""The verbs. Nothing heavy is imported before its verb's arguments are known to be good."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import __version__
from .options import BadOption, nearest

BAD_INPUT, INTERRUPTED = 2, 130  # exit codes


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a verb; the exit code is 0, 1 where something failed, 2 for bad input, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words[:1] == ["train"]:
            return train(words[1:])
        if words[:1] == ["estimate"] and not {"-h", "--help"} & set(words):
            return estimate(words[1:])
        if words[:1] == ["complete"]:
            return complete(words[1:])
        options = parser().parse_args(words)
        return options.verb(options)
    except BadOption as error:
        return refuse(str(error))
    except BrokenPipeError:  # `rnnbench list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR"):
            raise
        said = " ".join(str(error).split())
        print(f"rnnbench: {type(error).__name__}: {said} (HYDRA_FULL_ERROR=1 shows where)", file=sys.stderr)
        return 1


def refuse(message: str) -> int:
    print(f"rnnbench: {' '.join(message.split())}", file=sys.stderr)
    return BAD_INPUT


class Parser(argparse.ArgumentParser):
    """Errors in one line, with the nearest word."""

    def error(self, message: str) -> NoReturn:
        sys.exit(refuse(f"{message} (try {self.prog} --help)"))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            words = [str(word) for word in action.choices]
            near = nearest(str(value), words)
            raise BadOption(f"no {action.metavar or action.dest} {str(value)!r}{near or ';'} there are: {', '.join(words)}")


def parser() -> argparse.ArgumentParser:
    top = Parser(prog="rnnbench", description="Fair, tracked, repeatable comparisons of recurrent networks on sequence tasks.")
    top.add_argument("--version", action="version", version=f"rnnbench {__version__}")
    verbs = top.add_subparsers(title="verbs", metavar="verb", required=True, parser_class=Parser)

    def verb(name: str, run: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=about, description=about)
        added.set_defaults(verb=run)
        return added

    verb("train", lambda _: 0, "train: task=TASK model=MODEL [OPTION=VALUE ...]; -m for a sweep; --help for the options")

    verb("estimate", lambda _: 0, "what a sweep would take: runs, time, disk; OPTION=VALUE,VALUE ... as for train -m")

    for name, run, about in (
        ("status", status, "how far sweeps are: recorded, running, interrupted, failed, missing"),
        ("prune", prune, "remove old checkpoints of unfinished runs that nobody runs; never a record"),
        ("sync", sync, "bring W&B level with the local records: one run there for one here, whatever happened on the way"),
    ):
        added = verb(name, run, about)
        added.add_argument("what", nargs="*", metavar="SWEEP|PATH", help="sweeps by name, run folders, folders that hold some")
        added.add_argument("--runs", type=Path, default=Path("runs"), help="the folder of all runs [runs]")
        if run is prune:
            added.add_argument("--days", type=float, default=30, help="untouched for so long [30]")
            added.add_argument("--dry-run", action="store_true", help="only say what would be freed")
        if run is sync:
            added.add_argument("--project", help="the project there [that of each run's tracker, or rnnbench]")
            added.add_argument("--entity", help="user or team there [that of each run's tracker, or the key's own]")

    tuned = verb(
        "tune", tune, "search settings for models, all with the same rules, trials and seed; validation alone is looked at"
    )
    tuned.add_argument("task", help="a task; `rnnbench list tasks` names them")
    tuned.add_argument(
        "words", nargs="+", metavar="MODEL|OPTION=VALUE", help="one model or more; options that all trials share"
    )
    tuned.add_argument("--trials", type=int, required=True, help="of each model's study; more than before goes on with it")
    tuned.add_argument("--space", default="default", help="the rules: a name in conf/search/, or a file [default]")
    tuned.add_argument("--sampler", choices=("tpe", "random", "qmc"), default="tpe", metavar="tpe|random|qmc", help="[tpe]")
    tuned.add_argument("--no-prune", action="store_true", help="let every trial run to its end")
    tuned.add_argument("--workers", type=int, default=1, help="trials at a time; the same command elsewhere adds to them [1]")
    tuned.add_argument("--seed", type=int, default=0, help="of the search and of its runs, in a range of its own [0]")
    tuned.add_argument("--storage", help="URL of a data base for the study [a journal in its folder]")
    tuned.add_argument("--searches", type=Path, default=Path("searches"), help="the folder of all searches [searches]")

    listed = verb("list", list_, "what there is: tasks with their floors and sources, models with theirs")
    listed.add_argument("kind", choices=("tasks", "models"), metavar="tasks|models")
    listed.add_argument("name", nargs="?", help="one of them: its options, their defaults and ranges")
    listed.add_argument(
        "--details",
        action="store_true",
        help="tasks: data, floor, best known, source, licence, extra; models: parameters and state size at H = 128, back ends",
    )
    listed.add_argument("--budget", metavar="PARAMS", help="models: the width that each has at so many parameters, say 70k")
    listed.add_argument("--task", help="with --budget: the task whose codec and read-out are counted [adding]")

    for name, run, about in (
        ("compare", compare, "what has been run: scores with intervals, floors, solve rates, speed"),
        ("report", report, "the same as a page with learning curves, gradient norms, and speed against score"),
    ):
        added = verb(name, run, about)
        added.add_argument("paths", nargs="*", type=Path, help="run folders, folders that hold some, results.jsonl [runs]")
        added.add_argument("--task", help="this task only")
        if run is compare:
            added.add_argument("--format", choices=("terminal", "csv", "markdown"), default="terminal")
        else:
            added.add_argument("--output", type=Path, default=Path("report.html"), help="the page [report.html]")

    drawn = verb("gradients", gradients, "a picture of the gradient through time: at initialisation, while and after training")
    drawn.add_argument("paths", nargs="+", type=Path, metavar="RUN", help="run folders, or folders that hold some")
    drawn.add_argument("--task", help="this task only")
    drawn.add_argument("--step", type=int, help="curves of the loss of this step alone, from 1 [the loss as trained on]")
    drawn.add_argument("--output", type=Path, default=Path("gradients.png"), help="a .png, .svg or .html [gradients.png]")

    probed = verb(
        "probe", probe, "by lag: how well a linear map of the state gives back the past, and how much gradient gets there"
    )
    probed.add_argument("run", type=Path, help="a run folder, or a folder with one finished run below it")
    probed.add_argument("--lags", default="", help="steps back, say 1,5,10 [0,1,2,5,10,... as far as sequences go]")
    probed.add_argument("--step", type=int, help="the step whose loss alone is differentiated [the last]")

    for name, run, about in (
        ("baseline", baseline, "what simple baselines score: counting, linear models; validation chooses, test is read once"),
        ("prepare", prepare, "fetch and tokenise a task's data now, for machines without a network"),
    ):
        added = verb(name, run, about)
        added.add_argument("task", help="a task; `rnnbench list tasks` names them")
        added.add_argument("options", nargs="*", metavar="task.OPTION=VALUE", help="its options, as for train")

    drawn = verb("sample", sample, "text from a trained run: what follows a beginning, or an answer to what is read")
    drawn.add_argument("run", type=Path, help="a run folder, or a folder with one finished run below it")
    drawn.add_argument("--prompt", help="what the text begins with, or what is answered [the validation split's beginning]")
    drawn.add_argument("--length", type=int, default=400, help="symbols to write [400]")
    drawn.add_argument("--temperature", type=float, default=1.0, help="below 1 safer, above 1 bolder, 0 the likeliest [1]")
    drawn.add_argument("--top-k", type=int, default=0, help="draw from so many of the likeliest symbols only; 0 from all [0]")
    drawn.add_argument("--top-p", type=float, default=1.0, help="draw from the likeliest with this chance together [1]")
    drawn.add_argument("--seed", type=int, default=0)
    drawn.add_argument("--beam", type=int, help="answers: likeliest beginnings kept [as in training]")
    drawn.add_argument("--length-penalty", type=float, help="answers: 0 favours short ones [as in training]")

    from .benchmarks import NAMES as measures

    measured = verb(
        "benchmark", benchmark, "measure: the training loop, instruments, kernels, the data pipeline, a run of each task"
    )
    measured.add_argument("what", choices=measures, metavar="|".join(measures))
    measured.add_argument("words", nargs="*", metavar="OPTION", help="data: task=TASK model=MODEL ...; tasks: their names")
    measured.add_argument("--quick", action="store_true", help="fewer rounds")

    shell = verb("completion", completion, 'completion for a shell: eval "$(rnnbench completion bash)"')
    shell.add_argument("shell", choices=("bash", "zsh"))
    return top


# train


def train(words: list[str]) -> int:
    """Checks everything that is asked for, then hands over to Hydra."""
    if "--again" in words:
        return again(words)
    from hydra._internal.utils import get_args_parser

    from . import config, launcher

    hydra = get_args_parser()
    hydra.prog = "rnnbench train"
    hydra.error = lambda message: sys.exit(refuse(f"{message} (try rnnbench train --help)"))  # type: ignore[method-assign]
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
        if not shown:
            check_locks(jobs)
        if not shown and asked.multirun:
            if os.environ.get("WANDB_SWEEP_ID"):
                raise BadOption("-m: an agent of a W&B sweep asks for one run at a time; leave -m out of its command")
            launchers = [word.partition("=")[2] for word in overrides if word.startswith("hydra/launcher=")]
            launcher.check_extra(launchers[-1] if launchers else "processes")
            launcher.prepare(jobs, list(config.split(overrides, sweep=True)), sweep_name(overrides, jobs))
        elif not shown:
            check_data(jobs)
    if asked.multirun and not shown:
        overrides = config.swept(overrides) + sweep_words(overrides, jobs)
    return hand_over([*overrides, *flags], asked.multirun)


def check_data(jobs: Sequence[dict[str, Any]]) -> None:
    """Prepares the data of the jobs' tasks before the first starts; BadOption where they, or a network, cannot be had."""
    from . import run

    try:
        run.survey(jobs)
    except (ValueError, OSError) as error:
        raise BadOption(str(error)) from None


def check_locks(jobs: Sequence[dict[str, Any]]) -> None:
    """BadOption where the folder of runs cannot keep two processes out of one run."""
    from .lease import try_locks

    for place in {Path(job["runs"]).absolute() for job in jobs}:
        while not place.exists():
            place = place.parent
        try:
            try_locks(place)
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
    settings = config.resolve({**settings, "runs": str(Path(path).absolute().parents[2])})
    check_locks([settings])
    check_data([settings])
    from . import run

    try:
        perform(settings)
    except run.RunFailed as error:
        print(f"rnnbench: {error}", file=sys.stderr)
        return 1
    except SystemExit as end:
        return int(end.code or 0)
    return 0


# the other verbs


def estimate(words: list[str]) -> int:
    from . import config, launcher

    words = [word for word in words if word not in ("-m", "--multirun")]
    jobs = config.jobs(words, sweep=True)
    launcher.prepare(jobs, list(config.split(words, sweep=True)), sweep_name(words, jobs))
    workers = [word.partition("=")[2] for word in words if word.startswith("hydra.launcher.workers=")]
    for line in launcher.estimate(int(workers[-1]) if "".join(workers[-1:]).isdigit() else launcher.cores()):
        print(line, flush=True)
    return 0


def status(options: argparse.Namespace) -> int:
    from . import jobs

    lines = list(jobs.overview(options.runs)) if not options.what else []
    for folder, is_sweep in members(options):
        lines += jobs.status(folder, is_sweep)
    print(*lines, sep="\n")
    return 0


def prune(options: argparse.Namespace) -> int:
    from . import jobs

    if not options.what:
        options.what = [str(options.runs)]
    if options.days < 0:
        raise BadOption(f"--days {options.days:g}: at least 0")
    for folder, is_sweep in members(options):
        for line in jobs.prune(folder, is_sweep, options.days, options.dry_run):
            print(line, flush=True)
    return 0


def sync(options: argparse.Namespace) -> int:
    from . import sync, tracking

    if not options.what:
        options.what = [str(options.runs)]
    found = sync.folders(members(options))
    try:
        tracking.WandbTracker("online")
    except tracking.TrackerUnavailable as error:
        print(f"rnnbench: {error}", file=sys.stderr)
        return 1
    well = True
    for good, line in sync.sync(found, options.project, options.entity):
        print(line, file=sys.stdout if good else sys.stderr, flush=True)
        well = well and good
    return int(not well)


def tune(options: argparse.Namespace) -> int:
    from . import config, space
    from .records import digest

    models = [word for word in options.words if "=" not in word]
    shared = [word for word in options.words if "=" in word]
    if not models:
        raise BadOption(f"missing value: MODEL; there are: {', '.join(config.names('model'))}")
    if min(options.trials, options.workers) < 1 or not 0 <= options.seed < config.TUNING:
        raise BadOption(
            f"--trials {options.trials} --workers {options.workers} --seed {options.seed}: 1 or more; the seed 0 or more"
        )
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

    asked(look_up, jobs)  # prepares the data
    direction = config.signature("task", jobs[0]["task"]["name"]).constants["direction"]
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
        study.run(options.trials, options.workers)
        print(*search.told(name, study.save()), sep="\n", flush=True)
    return 0


def members(options: argparse.Namespace) -> list[tuple[Path, bool]]:
    """The sweeps and folders that the words name; BadOption for one that is neither."""
    from . import jobs
    from .records import DamagedRecord

    try:
        found = [jobs.named(word, options.runs) for word in options.what]
        for folder, is_sweep in found:
            if is_sweep:
                jobs.read_manifest(folder)
    except (FileNotFoundError, DamagedRecord) as error:
        raise BadOption(str(error)) from None
    return found


def list_(options: argparse.Namespace) -> int:
    from . import listing

    models = options.kind == "models"
    if options.name and (options.details or options.budget):
        raise BadOption(f"--details and --budget are of all {options.kind}; without them, {options.name} is told about")
    if bool(options.budget or options.task) > models or (options.task and not options.budget):
        raise BadOption("--budget PARAMS, and with it --task TASK, is of `rnnbench list models`")
    if models and (options.details or options.budget):
        from . import sizes

        print(sizes.within(options.budget, options.task or "adding") if options.budget else sizes.details())
        return 0
    if options.details:
        print(listing.details())
        return 0
    print(listing.one(options.kind, options.name) if options.name else listing.all_(options.kind))
    return 0


def stored(options: argparse.Namespace) -> tuple[list[Any], list[str]]:
    from . import records

    try:
        runs, complaints = records.find(options.paths or [Path("runs")])
    except FileNotFoundError as error:
        raise BadOption(f"{error}; `rnnbench train task=adding model=lstm` makes one") from None
    if options.task:
        there = sorted({run.config["task"]["name"] for run in runs})
        if options.task not in there:
            raise BadOption(
                f"no runs of task {options.task!r}{nearest(options.task, there) or ';'} there are: {', '.join(there)}"
            )
        runs = [run for run in runs if run.config["task"]["name"] == options.task]
    return runs, complaints


def compare(options: argparse.Namespace) -> int:
    from . import renderers, tables

    found = tables.compare(*stored(options))
    print(renderers.export(found, options.format))
    if options.format == "csv":  # whose rows have no place for what was refused
        print(*(gap for table in found for gap in table.gaps), sep="\n", end="", file=sys.stderr)
    return 0


def report(options: argparse.Namespace) -> int:
    from . import figures

    try:
        figures.report(*stored(options), options.output)
    except OSError as error:
        raise BadOption(f"--output {options.output}: {error}") from None
    print(options.output)
    return 0


def gradients(options: argparse.Namespace) -> int:
    if options.output.suffix not in (".png", ".svg", ".html"):
        raise BadOption(f"--output {options.output}: a name that ends in .png, .svg or .html")
    runs, complaints = stored(options)
    print(*complaints, sep="\n", end="\n" * bool(complaints), file=sys.stderr)
    from . import examine

    examine.gradients(runs, options.output, options.step)
    print(options.output)
    return 0


def probe(options: argparse.Namespace) -> int:
    words = options.lags.split(",") if options.lags else []
    if not all(word.isdigit() for word in words) or len(set(words)) < len(words):
        raise BadOption(f"--lags {options.lags}: steps back, such as 1,2,5,10")
    path = one_finished(options.run)
    from . import examine

    for line in examine.probe(path, sorted(map(int, words)), options.step):
        print(line, flush=True)
    return 0


def one_finished(path: Path) -> Path:
    """The folder of the one finished run at or below `path`; BadOption where there is none, or more than one."""
    from . import records

    try:
        finished = [stored.path for stored in records.find([path])[0] if stored.record]
    except FileNotFoundError as error:
        raise BadOption(str(error)) from None
    if len(finished) != 1:
        raise BadOption(
            f"{path}: {len(finished) or 'no'} finished runs there; one is needed{''.join(f', {p}' for p in finished)}"
        )
    return finished[0]


def prepared(options: argparse.Namespace) -> Any:
    """The task that the options name, its data at hand; BadOption where they cannot be had."""
    from . import config

    for word in options.options:
        if not word.startswith("task."):
            raise BadOption(f"{word}: options of the task only, task.OPTION=VALUE")
    (job,) = config.jobs([f"task={options.task}", "model=rnn", *options.options], sweep=False)
    from . import process, run

    process.settle()
    try:
        task = run.make_task(job)
        task.prepare()
    except (ValueError, OSError) as error:
        raise BadOption(str(error)) from None
    return task


def prepare(options: argparse.Namespace) -> int:
    task = prepared(options)
    facts = {"floor": f"{task.headline} {task.floor:.4g}", "data": task.fingerprint[:16] or "generated", **task.about()}
    print(f"{options.task} is at hand: " + ", ".join(f"{name} {value}" for name, value in facts.items()))
    return 0


def baseline(options: argparse.Namespace) -> int:
    task = prepared(options)
    from . import baselines

    try:
        for line in baselines.table(task, baselines.run(task)):
            print(line, flush=True)
    except ValueError as error:
        raise BadOption(f"{options.task}: {error}") from None
    return 0


def sample(options: argparse.Namespace) -> int:
    for name, good, allowed in (
        ("length", options.length >= 1, "at least 1"),
        ("temperature", options.temperature >= 0, "at least 0"),
        ("top_k", options.top_k >= 0, "at least 0"),
        ("top_p", 0 < options.top_p <= 1, "more than 0 and at most 1"),
        ("beam", options.beam is None or options.beam >= 1, "at least 1"),
        ("length_penalty", options.length_penalty is None or options.length_penalty >= 0, "at least 0"),
    ):
        if not good:
            raise BadOption(f"--{name.replace('_', '-')} {getattr(options, name)}: {allowed}")
    path = one_finished(options.run)
    from . import run

    try:
        trained = run.load(path)
    except (ValueError, OSError) as error:
        raise BadOption(str(error)) from None
    if not trained.task.generates and not trained.task.answers:
        raise BadOption(f"{options.run}: task {trained.record['task']['name']} does not write text")
    if options.prompt is None and not trained.at_hand:
        raise BadOption(f"{options.run}: its data are not at hand; --prompt TEXT says what to begin with")
    try:
        (go_on if trained.task.generates else answer)(trained, options)
    except ValueError as error:
        raise BadOption(str(error)) from None
    return 0


def go_on(trained: Any, options: argparse.Namespace) -> None:
    """Prints the prompt, and what follows it, symbol by symbol."""
    from . import generation

    task = trained.task
    tokens = generation.beginning(task) if options.prompt is None else task.encode(options.prompt)
    drawn = (options.temperature, options.seed, options.top_k, options.top_p)
    symbols = generation.generate(trained.network, task, tokens, options.length, *drawn)
    first = next(symbols)  # a prompt that cannot be is refused before anything is printed
    print(task.decode(tokens) if options.prompt is None else options.prompt, end="", flush=True)
    print(first, end="", flush=True)
    for symbol in symbols:
        print(symbol, end="", flush=True)
    print()


def answer(trained: Any, options: argparse.Namespace) -> None:
    """Prints the answer to the prompt; without one, some rows of the validation split with what was written and wanted."""
    from . import generation

    trains = trained.record["train"]
    beam = trains["beam"] if options.beam is None else options.beam
    penalty = trains["length_penalty"] if options.length_penalty is None else options.length_penalty
    if options.prompt is None:
        for row in generation.examples(trained.network, trained.task, 5, beam, penalty)[0]:
            print(*(f"{name:<8}{text}" for name, text in row.items()), "", sep="\n")
        return
    batch = trained.task.ask(options.prompt)
    (row,) = trained.task.answered(batch, generation.answer(trained.network, trained.task, batch, beam, penalty))
    print(row["written"])


def benchmark(options: argparse.Namespace) -> int:
    importlib.import_module(f".benchmarks.{options.what}", __package__).main(options.quick, options.words)
    return 0


def completion(options: argparse.Namespace) -> int:
    from .completion import SCRIPTS

    print(SCRIPTS[options.shell])
    return 0


def complete(_words: Sequence[str]) -> int:
    """The words that the shell may put at the end of COMP_LINE, a line each."""
    from .completion import found

    print(*found(os.environ.get("COMP_LINE", ""), parser()), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
