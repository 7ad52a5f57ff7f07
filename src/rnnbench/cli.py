"""The verbs. Nothing heavy is imported before its verb's arguments are known to be good."""

from __future__ import annotations

import argparse
import os
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
    ):
        added = verb(name, run, about)
        added.add_argument("what", nargs="*", metavar="SWEEP|PATH", help="sweeps by name, run folders, folders that hold some")
        added.add_argument("--runs", type=Path, default=Path("runs"), help="the folder of all runs [runs]")
        if run is prune:
            added.add_argument("--days", type=float, default=30, help="untouched for so long [30]")
            added.add_argument("--dry-run", action="store_true", help="only say what would be freed")

    listed = verb("list", list_, "what there is: tasks with their floors and sources, models with theirs")
    listed.add_argument("kind", choices=("tasks", "models"), metavar="tasks|models")
    listed.add_argument("name", nargs="?", help="one of them: its options, their defaults and ranges")
    listed.add_argument(
        "--details", action="store_true", help="models: parameters and state size at H = 128, back ends; seconds"
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

    drawn = verb("sample", sample, "text from a trained run")
    drawn.add_argument("run", type=Path, help="a run folder, or a folder with one finished run below it")
    drawn.add_argument("--prompt", default="The ", help="what the text begins with")
    drawn.add_argument("--length", type=int, default=400, help="symbols to write [400]")
    drawn.add_argument("--temperature", type=float, default=1.0, help="below 1 safer, above 1 bolder, 0 the likeliest [1]")
    drawn.add_argument("--seed", type=int, default=0)

    measured = verb(
        "benchmark", benchmark, "measure this machine: the training loop against a bare one, what instruments cost, the kernels"
    )
    measured.add_argument("what", choices=("overhead", "instruments", "kernels"), metavar="overhead|instruments|kernels")
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
    config.register()
    launcher.register()
    shown = asked.help or asked.hydra_help or asked.cfg or asked.info or asked.shell_completion
    if asked.help:
        chosen = {word.partition("=")[0] for word in overrides}
        overrides += [word for word in ("task=adding", "model=lstm") if word.partition("=")[0] not in chosen]
    if not asked.help and not asked.hydra_help and not asked.shell_completion:
        jobs = config.jobs(overrides, asked.multirun, asked.config_dir)
        if not shown:
            check_locks(jobs)
        if not shown and asked.multirun and not any(word.startswith("hydra/launcher=") for word in overrides):
            launcher.prepare(jobs, list(config.split(overrides, sweep=True)), sweep_name(overrides, jobs))
        elif not shown:
            check_data(jobs)
    if asked.multirun and not shown:
        overrides = config.swept(overrides) + sweep_words(overrides, jobs)
    return hand_over([*overrides, *flags])


def check_data(jobs: Sequence[dict[str, Any]]) -> None:
    """Prepares the data of the jobs' tasks, once and before the first starts; BadOption where they cannot be had, and where
    options of a job exclude each other."""
    from . import run

    tasks: list[tuple[dict[str, Any], int, Any]] = []
    for job in jobs:
        gpu = job["trainer"]["accelerator"] == "gpu"
        if gpu and not run.torch.cuda.is_available():
            raise BadOption("trainer.accelerator=gpu: PyTorch finds no GPU on this machine; allowed here: cpu")
        asked = (job["task"], job["train"]["batch_size"])
        known = [task for *one, task in tasks if tuple(one) == asked]
        try:
            if not known:
                task = run.make_task(job)
                task.prepare()
                task.batches("train", job["train"]["batch_size"])
                tasks.append((*asked, task))
            run.plan(job, *known or (task,))
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
    folder = Path(jobs[0]["runs"]) / "sweeps" / name
    return [f"sweep={name}"] * (not named) + [f"hydra.sweep.dir='{folder}'"] * (not placed)


def hand_over(words: list[str]) -> int:
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
            raise CompactHydraException(str(error)) from None
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
        print(f"rnnbench: {error}; the same command goes on from there", file=sys.stderr)
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
    if options.details or options.budget or options.task:
        if options.kind != "models" or options.name or (options.details and options.budget):
            raise BadOption("--details and --budget are each for the whole of `rnnbench list models`")
        if options.task and not options.budget:
            raise BadOption("--task goes with --budget")
        from . import sizes

        print(sizes.within(options.budget, options.task or "adding") if options.budget else sizes.details())
        return 0
    from . import listing

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
    from . import tables

    found = tables.compare(*stored(options))
    print(tables.export(found, options.format))
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
    if options.length < 1 or options.temperature < 0:
        raise BadOption(f"--length {options.length} --temperature {options.temperature}: at least 1, and at least 0")
    path = one_finished(options.run)
    from . import generation, run

    try:
        trained = run.load(path)
    except (ValueError, OSError) as error:
        raise BadOption(str(error)) from None
    if not trained.task.generates:
        raise BadOption(f"{options.run}: task {trained.record['task']['name']} does not write text")
    try:
        trained.task.encode(options.prompt)  # refused before anything is printed
        symbols = generation.generate(
            trained.network, trained.task, options.prompt, options.length, options.temperature, options.seed
        )
        print(options.prompt, end="", flush=True)
        for symbol in symbols:
            print(symbol, end="", flush=True)
    except ValueError as error:
        raise BadOption(str(error)) from None
    print()
    return 0


def benchmark(options: argparse.Namespace) -> int:
    from . import benchmarks

    getattr(benchmarks, options.what)(quick=options.quick)
    return 0


# completion

SCRIPTS = {
    "bash": """\
_rnnbench() {
    local IFS=$'\\n'
    COMPREPLY=($(COMP_LINE="${COMP_LINE:0:$COMP_POINT}" "${COMP_WORDS[0]}" complete 2>/dev/null))
    [[ ${COMPREPLY[0]} == *[=./] ]] && compopt -o nospace
    # bash takes = for the end of a word: what stands before it is not completed again
    [[ $COMP_WORDBREAKS == *=* && ${COMP_LINE:0:$COMP_POINT} =~ [^[:space:]]*$ ]] || return
    local before="${BASH_REMATCH[0]%"${BASH_REMATCH[0]##*=}"}"
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
}
complete -F _rnnbench rnnbench""",
    "zsh": """\
autoload -U +X compinit && compinit -u
_rnnbench() { local -a found; found=("${(@f)$(COMP_LINE="${(j: :)words[1,CURRENT]}" ${words[1]} complete 2>/dev/null)}")
    compadd -U -S '' -- $found }
compdef _rnnbench rnnbench""",
}


def completion(options: argparse.Namespace) -> int:
    print(SCRIPTS[options.shell])
    return 0


def complete(_words: Sequence[str]) -> int:
    """The words that the shell may put at the end of COMP_LINE, a line each."""
    line = os.environ.get("COMP_LINE", "")
    verbs: tuple[str, ...] = ("train", "list", "compare", "report", "baseline", "prepare", "sample", "benchmark", "completion")
    verbs = (*verbs, "status", "prune", "estimate", "gradients", "probe")
    words = line.split(" ")[1:]
    if len(words) <= 1:
        found = [verb for verb in verbs if verb.startswith("".join(words))]
    elif words[0] in ("train", "estimate"):
        from . import config

        found = config.completions(" ".join(words[1:]))
    elif words[0] in ("baseline", "prepare") and len(words) == 2:
        from . import config

        found = [name for name in config.names("task") if name.startswith(words[1])]
    elif words[0] == "list":
        from . import config

        found = ["tasks", "models"] if len(words) == 2 else config.names("task" if words[1] == "tasks" else "model")
        found = [word for word in found if word.startswith(words[-1])]
    else:
        found = []
    print("\n".join(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
