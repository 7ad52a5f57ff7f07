"""The verbs, their flags, and the file that each verb's command stands in. Nothing heavier than argparse is imported."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..analysis.table import FORMATS
from ..console import masked, say, show, visible
from ..options import BadOption, nearest, shortened, unknown
from ..version import __version__

BAD_INPUT, INTERRUPTED = 2, 130  # exit codes
BENCHMARKS = tuple(sorted(path.stem for path in Path(__file__).parents[1].glob("benchmarks/[a-z]*.py")))  # not imported
FIGURES = ("learning", "gradients", "speed", "parameters", "length", "solved")  # as analysis/figures.py has them
SCALES = ("paper", "laptop", "smoke")
VERB_GROUPS = ("run", "compare", "reproduce", "inspect", "maintain")
TASK = "name of a task (see `rnnbench list tasks`)"
TABLE = "name of a table in sweeps/, or the folder of one of yours"
RUN = "run folder, or a folder of runs with one finished run"
NAMED_RUN = "run folder, or the name or the first letters of the id of a run in --runs"
PATHS = "run folders, folders of runs, or results.jsonl files [runs]"
# The file of cli/ that holds `<verb>_command`.
HOMES = {
    "train": "train",
    "estimate": "train",
    "show": "show",
    "status": "sweeps",
    "prune": "sweeps",
    "remove": "sweeps",
    "sync": "sweeps",
    "wandb-workspace": "sweeps",
    "reproduce": "reproduce",
    "sweep": "reproduce",
    "table": "reproduce",
    "tune": "tune",
    "card": "card",
    "list": "listing",
    "compare": "compare",
    "report": "compare",
    "figure": "figure",
    "gradients": "examine",
    "probe": "examine",
    "baseline": "data",
    "prepare": "data",
    "sample": "sample",
    "predict": "predict",
    "benchmark": "benchmark",
    "completion": "completion",
}


def verbs_of(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the verbs, by name."""
    (verbs,) = (action.choices for action in top._actions if isinstance(action, argparse._SubParsersAction))
    return dict(verbs)


def check_runs_folder(verb: str, words: Sequence[str]) -> None:
    """BadOption where the folder of runs is named in the way of another verb: runs=FOLDER, --runs FOLDER or FOLDER."""
    given = next((word for word in words if word == "--runs" or word.startswith(("--runs=", "runs="))), "")
    parser = verbs_of(make_parser()).get(verb) if given else None
    taken = {action.dest: action for action in parser._actions} if parser else {}
    if "overrides" in taken:
        form, wrong = "runs=", given.startswith("-")
    elif "runs" in taken and taken["runs"].nargs is None:  # that of `compare` takes no folder
        form, wrong = "--runs ", given.startswith("runs=")
    else:
        form, wrong = "a path: ", "paths" in taken and ("=" in given or "runs" not in taken)
    if given and wrong:
        folder = given.partition("=")[2] or "FOLDER"
        raise BadOption(f"{given}: `rnnbench {verb}` takes the folder of runs as {form}{folder}")


def refuse(message: str) -> int:
    say(error_line(message), sys.stderr)
    return BAD_INPUT


def error_line(message: str) -> str:
    """`message` as one line of at most 400 characters; of a longer one the middle is left out."""
    return shortened(visible(masked(f"rnnbench: {' '.join(message.split())}")), 400)


class Parser(argparse.ArgumentParser):
    """Errors in one line, with the nearest word; flags in full, so that a new one never changes what an old command means."""

    def __init__(self, **given: Any) -> None:
        super().__init__(allow_abbrev=False, **given)
        self._words: list[str] = []

    def error(self, message: str) -> NoReturn:
        strange = [
            word for word in self._words if word.startswith("--") and word.partition("=")[0] not in self._option_string_actions
        ]
        if message.startswith("the following arguments are required") and strange:
            message = f"unrecognized arguments: {' '.join(strange)}"
        if message.startswith("unrecognized arguments: "):
            flags = [word.partition("=")[0] for word in message.split() if word.startswith("-")]
            message += next(filter(None, (nearest(flag, self._option_string_actions) for flag in flags)), "")
        sys.exit(refuse(f"{message} (try {self.prog} --help)"))

    def parse_intermixed_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._words = list(args or ())
        return super().parse_intermixed_args(args, namespace)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Help and versions; a full disk is an error, of which argparse says nothing."""
        if message:
            show(message, file)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise unknown(str(action.metavar or action.dest), str(value), map(str, action.choices))


Add = Callable[[str, str, str], argparse.ArgumentParser]


class TopParser(Parser):
    """The parser of `rnnbench` itself, whose help lists the verbs by group."""

    groups: dict[str, str]  # the group of each verb

    def format_help(self) -> str:
        (verbs,) = (action for action in self._actions if isinstance(action, argparse._SubParsersAction))
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self._actions, self._mutually_exclusive_groups)
        formatter.add_text(self.description)
        for group in VERB_GROUPS:
            formatter.start_section(group)
            formatter.add_arguments(one for one in verbs._choices_actions if self.groups[one.dest] == group)
            formatter.end_section()
        formatter.start_section("options")
        formatter.add_arguments(action for action in self._actions if action is not verbs)
        formatter.end_section()
        formatter.add_text(self.epilog)
        return formatter.format_help()


def make_parser() -> argparse.ArgumentParser:
    top = TopParser(
        prog="rnnbench",
        description="Compare recurrent networks on sequence tasks: fair, tracked, repeatable.",
        epilog="`rnnbench VERB --help` says more of one. A first run: rnnbench train task=adding_short model=lstm",
    )
    top.add_argument("--version", action="version", version=f"rnnbench {__version__}")
    verbs = top.add_subparsers(metavar="verb", required=True, parser_class=Parser)
    top.groups = {}

    def add(group: str, name: str, about: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        added.set_defaults(verb=name)
        top.groups[name] = group
        return added

    _add_training(add)
    _add_tune(add)
    _add_sweeps(add)
    _add_workspace(add)
    _add_tables(add)
    _add_card(add)
    _add_listing(add)
    _add_comparisons(add)
    _add_examinations(add)
    _add_data(add)
    _add_sample(add)
    _add_predict(add)
    _add_machine(add)
    return top


def _add_training(add: Add) -> None:
    train = add("run", "train", "train a model on a task, or a sweep with -m")
    estimate = add("run", "estimate", "estimate runs, time and disk of a sweep before it is started")
    for verb, values in ((train, "VALUE"), (estimate, "VALUE,VALUE")):
        verb.add_argument(
            "overrides", nargs="*", default=[], metavar=f"OPTION={values}", help="task=, model= and any other setting"
        )
    train.epilog = "`rnnbench train --help` lists every setting, with default and range."
    estimate.epilog = (
        "The words are those of `rnnbench train -m`, such as: rnnbench estimate task=adding,copy_memory model=lstm,gru "
        "seed=0,1,2. Nothing is trained. Speeds are those of recorded runs, or measured in a few steps."
    )


def _add_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="FOLDER", help="folder of runs [runs]")


def _add_format(parser: argparse.ArgumentParser, *formats: str) -> None:
    """--format, with those of FORMATS that the verb has."""
    parser.add_argument(
        "--format",
        type=lambda name: "markdown" if name == "md" else name,
        choices=[name for name in FORMATS if name in formats],
        default="terminal",
        metavar="format",
        help=f"{', '.join(name for name in FORMATS if name in formats)} [terminal]",
    )


def _add_sweeps(add: Add) -> None:
    status = add("inspect", "status", "list the runs of sweeps: recorded, running, interrupted, failed, missing")
    gone = add("maintain", "remove", "remove runs and sweeps: the files that rnnbench wrote, and no others")
    prune = add("maintain", "prune", "remove old checkpoints of unfinished runs; records are kept")
    sync = add("maintain", "sync", "send local records to W&B where it lacks them, or write them into another tracker")
    for verb in (status, prune, sync):
        verb.add_argument("what", nargs="*", metavar="SWEEP|PATH", help="sweeps by name, run folders, folders of runs")
        _add_runs(verb)
    status.add_argument("--watch", action="store_true", help="follow one sweep or folder until all of its runs have ended")
    prune.add_argument("--days", type=float, default=30, help="only checkpoints not modified for DAYS days [30]")
    prune.add_argument("--dry-run", action="store_true", help="only print what would be removed")
    gone.epilog = "A run stays where a process is training it, or where another sweep lists it, too."
    gone.add_argument("what", nargs="+", metavar="SWEEP|RUN", help=f"sweep by name or folder; {NAMED_RUN}")
    _add_runs(gone)
    gone.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    gone.add_argument("--dry-run", action="store_true", help="only print what would be removed")
    sync.add_argument("--all", action="store_true", help="also runs made without W&B [only those that are named]")
    sync.add_argument("--to", metavar="TRACKER", help="write the runs to another tracker: tensorboard, trackio, ... [wandb]")
    sync.add_argument("--project", help="project there [that of each run's tracker, or rnnbench]")
    sync.add_argument("--entity", help="user or team there [that of each run's tracker, or that of the API key]")


def _add_workspace(add: Add) -> None:
    saved = add("maintain", "wandb-workspace", "save a view of a W&B project with panels for results, learning and gradients")
    saved.add_argument("project", help="W&B project")
    saved.add_argument("--entity", help="user or team there [WANDB_ENTITY, or that of the API key]")
    saved.add_argument("--task", help="only runs of this task; its score is shown [those of all runs here]")
    _add_runs(saved)
    saved.add_argument("--dry-run", action="store_true", help="only print what would be sent, as JSON")


def _add_tables(add: Add) -> None:
    sweep = add("run", "sweep", "train the runs that a YAML file lists, as one sweep")
    reproduce = add("reproduce", "reproduce", "run a table's missing cells, add seeds where undecided, print the table")
    sweep.epilog = "For a table, `rnnbench sweep TABLE` is `rnnbench reproduce TABLE`."
    for verb, what in ((reproduce, "TABLE"), (sweep, "TABLE|FILE")):
        verb.add_argument(
            "what", metavar=what, help=f"{TABLE}; all, with --hours" if verb is reproduce else f"YAML file, or {TABLE}"
        )
        launching = "trainer.*, tracker.*, runs=, accept_changes=, hydra/launcher= and hydra.launcher.*"
        verb.add_argument("overrides", nargs="*", default=[], metavar="OPTION=VALUE", help=launching)
        verb.add_argument("--rows", help="rows of the table, comma-separated [all]")
        verb.add_argument("--columns", help="columns of the table, comma-separated [all]")
        verb.add_argument("--scale", choices=SCALES, metavar="scale", help="paper, laptop or smoke [the row's cheapest]")
        verb.add_argument(
            "--as",
            dest="published",
            choices=("published", "readings", "choices", "fair"),
            metavar="setting",
            help="published: from the paper's setting step by step to the fair one; readings: every reading of what the paper "
            "leaves open; choices: what validation is to choose; fair [fair]",
        )
        verb.add_argument("--estimate", action="store_true", help="only print runs, time and disk")
        again = "run committed results again here, and compare the scores"
        verb.add_argument("--again", action="store_true", help=again)
        hours = "run for H hours, first what is most likely to settle an open value or contrast for its cost"
        verb.add_argument("--hours", type=float, metavar="H", help=hours)

    table = add("reproduce", "table", "print a table: what was reported, what was measured, the verdicts")
    table.add_argument("what", metavar="TABLE|all", help=TABLE)
    table.add_argument(
        "--runs", type=Path, metavar="FOLDER", help="folder of runs, which count beside the committed ones [runs]"
    )
    table.add_argument("--rows", help="rows of the table, comma-separated [all]")
    table.add_argument("--scale", choices=SCALES, metavar="scale", help="paper, laptop or smoke [the best that was run]")
    _add_format(table, *FORMATS)
    table.add_argument("--collect", action="store_true", help="copy finished runs into results.jsonl, without personal data")
    table.add_argument("--write", action="store_true", help="write the table's README from its results.jsonl")


def _add_tune(add: Add) -> None:
    tune = add("run", "tune", "search hyperparameters of models on the validation split, with the same budget for each")
    tune.add_argument("task", help="a task, or several, comma-separated; `rnnbench list tasks` shows them")
    tune.add_argument("words", nargs="+", metavar="MODEL|OPTION=VALUE", help="models, and options that all trials share")
    tune.add_argument("--trials", type=int, required=True, help="trials of each model; a higher number continues a search")
    tune.add_argument("--space", default="default", help="search space: a name in conf/search/, or a YAML file [default]")
    tune.add_argument("--sampler", choices=("tpe", "random", "qmc"), default="tpe", metavar="tpe|random|qmc", help="[tpe]")
    tune.add_argument("--no-prune", action="store_true", help="do not stop poor trials early")
    tune.add_argument("--workers", type=int, default=1, help="trials at a time; other machines may add to them [1]")
    tune.add_argument("--seed", type=int, default=0, help="random seed of the search and of its runs [0]")
    tune.add_argument(
        "--storage", help="Optuna database URL, to share a study between machines [a journal in the study's folder]"
    )
    tune.add_argument(
        "--searches", type=Path, default=Path("searches"), metavar="FOLDER", help="folder of all searches [searches]"
    )


def _add_card(add: Add) -> None:
    about = "test what a cell is worth, on one page: laws, cost, and where it is ahead of others at equal parameters"
    card = add("compare", "card", about)
    card.add_argument("cell", metavar="CELL", help="FILE.py:CLASS, or a model by its name")
    card.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="OPTION=VALUE",
        help="model.* of the cell; trainer.*, tracker.*, runs=, hydra/launcher= and its own",
    )
    how = card.add_mutually_exclusive_group()
    how.add_argument(
        "--quick", action="store_true", help="a screening: 3 tasks, 5 seeds, minutes [the suite at its own rates, hours]"
    )
    how.add_argument(
        "--full", action="store_true", help="an equal search of settings for every model first; says the hours it takes"
    )
    card.add_argument("--against", metavar="MODELS", help="opponents, comma-separated [those of the suite: lstm,gru]")
    card.add_argument(
        "--winners", type=Path, metavar="FILE", help="settings that `rnnbench tune` or --full chose, for every model"
    )
    card.add_argument("--estimate", action="store_true", help="only say what it would take")
    card.add_argument("-o", "--output", type=Path, default=Path("card"), help="the folder of the page [card]")


def _add_listing(add: Add) -> None:
    listed = add("inspect", "list", "list tasks or models, or one of them with its options")
    listed.add_argument("kind", choices=("tasks", "models"), metavar="tasks|models")
    listed.add_argument("name", nargs="?", help="one of them: its options, defaults and ranges")
    listed.add_argument(
        "--details",
        action="store_true",
        help="tasks: data, floor (the best score without memory), best known, source, licence, extra; models: parameters and "
        "state size of 128 units, back ends, source",
    )
    listed.add_argument("--budget", metavar="PARAMS", help="models: hidden_size of each at PARAMS parameters, such as 70k")
    listed.add_argument("--task", help="with --budget: the task whose embedding and read-out are counted [adding]")
    _add_format(listed, "terminal", "markdown", "json")


def _add_comparisons(add: Add) -> None:
    compare = add("compare", "compare", "print a table of runs: scores with confidence intervals, floors, solve rates, speed")
    report = add("compare", "report", "write the same as an HTML page, with learning curves and gradient norms")
    for verb in (compare, report):
        verb.add_argument("paths", nargs="*", type=Path, help=PATHS)
        verb.add_argument("--task", help="only runs of this task")
    shown = add("inspect", "show", "show one run: settings, scores, samples, environment; or how two runs differ")
    shown.add_argument("run", nargs="+", metavar="RUN", help=NAMED_RUN)
    _add_runs(shown)
    _add_format(shown, "terminal", "json")
    drawn = add("compare", "figure", "draw all models of a task in one figure for a paper, with its data as CSV")
    drawn.add_argument("kind", choices=FIGURES, metavar="kind", help=", ".join(FIGURES))
    drawn.add_argument("paths", nargs="*", type=Path, help=PATHS)
    drawn.add_argument("--task", help="only this task, by its name or as `compare` calls it, such as adding-T20")
    drawn.add_argument("-o", "--output", type=Path, required=True, help="file to write: .pdf, .svg or .png")
    drawn.add_argument("--width", default="8cm", help="width in cm, mm, in or pt [8cm]")
    where = "only runs that fulfil a condition: \"train.learning_rate > .001 and model.name in ('lstm', 'gru')\""
    compare.add_argument("--where", metavar="CONDITION", help=where)
    compare.add_argument("--by", metavar="OPTION", help="print a table for each value of an option, such as train.steps")
    compare.add_argument(
        "--sort", default="", metavar="KEY", help="sort by a column or an option; --sort=-KEY: descending [best]"
    )
    compare.add_argument("--columns", metavar="A,B", help="columns and options to print; with --runs also: all")
    compare.add_argument("--runs", action="store_true", help="print a row per run: options that differ, status, scores, folder")
    compare.add_argument("--aggregate", action="store_true", help="summarize over tasks: normalized scores, who beats whom")
    layout = "rows: a table per task; matrix: one table with a row per model and a column per task [rows]"
    compare.add_argument("--layout", choices=("rows", "matrix"), default="rows", metavar="rows|matrix", help=layout)
    _add_format(compare, *FORMATS)
    report.add_argument("-o", "--output", type=Path, default=Path("report.html"), help="file to write [report.html]")


def _add_examinations(add: Add) -> None:
    drawn = add("inspect", "gradients", "draw the gradient norm through time: at initialization, during and after training")
    drawn.add_argument("paths", nargs="+", type=Path, metavar="RUN", help="run folders, or folders of runs")
    drawn.add_argument("--task", help="only runs of this task")
    drawn.add_argument("--step", type=int, help="step whose loss is differentiated, from 1 [the loss of training]")
    drawn.add_argument(
        "-o", "--output", type=Path, default=Path("gradients.png"), help="file: .png, .svg or .html [gradients.png]"
    )

    about = "linear probe: R2 of past inputs decoded from the state, and gradient norm, per lag"
    probed = add("inspect", "probe", about)
    probed.add_argument("run", type=Path, help=RUN)
    probed.add_argument("--lags", default="", help="steps back, comma-separated [0,1,2,5,10,... up to the sequence length]")
    probed.add_argument("--step", type=int, help="step whose loss is differentiated [the last]")


def _add_data(add: Add) -> None:
    prepare = add("run", "prepare", "download and tokenize a task's data now, for machines without a network")
    baseline = add("compare", "baseline", "score simple baselines of a task: counting and linear models")
    for verb in (baseline, prepare):
        verb.add_argument("task", help=TASK)
        verb.add_argument("options", nargs="*", metavar="task.OPTION=VALUE", help="options of the task, as for train")


def _add_sample(add: Add) -> None:
    drawn = add("inspect", "sample", "write text with a trained run: continue a prompt, or answer it")
    drawn.add_argument("run", type=Path, help=RUN)
    drawn.add_argument("--prompt", help="text to continue or to answer [from the validation split]")
    drawn.add_argument("--length", type=int, default=400, help="symbols to write [400]")
    drawn.add_argument("--temperature", type=float, default=1.0, help="sampling temperature; 0: the most likely symbol [1]")
    drawn.add_argument("--top-k", type=int, default=0, help="sample from the K most likely symbols; 0: from all [0]")
    nucleus = "nucleus sampling: smallest set of symbols with total probability P [1]"
    drawn.add_argument("--top-p", type=float, default=1.0, metavar="P", help=nucleus)
    drawn.add_argument("--seed", type=int, default=0, help="random seed [0]")
    drawn.add_argument("--beam", type=int, help="answers: beam size [as in training]")
    drawn.add_argument("--length-penalty", type=float, help="answers: 0 favours short ones [as in training]")


def _add_predict(add: Add) -> None:
    answered = add("inspect", "predict", "write a trained run's answers for the rows of a file, with probabilities, as CSV")
    answered.add_argument("run", type=Path, help=RUN)
    answered.add_argument("file", type=Path, help="file as the task reads it; the column with the classes may be missing")
    answered.add_argument("-o", "--output", type=Path, required=True, help="CSV file to write")


def _add_machine(add: Add) -> None:
    measured = add("maintain", "benchmark", "measure speed and overhead on this machine")
    measured.add_argument("what", choices=BENCHMARKS, metavar="what", help=", ".join(BENCHMARKS))
    measured.add_argument(
        "words", nargs="*", metavar="OPTION", help="data: task=TASK model=MODEL ...; tasks: their names; history: a file"
    )
    measured.add_argument("--quick", action="store_true", help="fewer repetitions")
    about = "append the ratios to FILE, for `benchmark history` [benchmarks.jsonl]"
    measured.add_argument("--save", nargs="?", const="benchmarks.jsonl", metavar="FILE", help=about)

    shell = add("maintain", "completion", 'print completion for a shell: eval "$(rnnbench completion bash)"')
    shell.add_argument("shell", choices=("bash", "zsh"))
