"""The verbs, their flags, and the file that each verb's command stands in. Nothing heavier than argparse is imported."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ..console import masked, say, visible
from ..options import BadOption, nearest, shortened
from ..version import __version__

BAD_INPUT, INTERRUPTED = 2, 130  # exit codes
BENCHMARKS = tuple(sorted(path.stem for path in Path(__file__).parents[1].glob("benchmarks/[a-z]*.py")))  # not imported
FIGURES = ("learning", "gradients", "speed", "parameters", "length", "solved")  # as analysis/figures.py has them
SCALES = ("paper", "laptop", "smoke")
TASK = "a task; `rnnbench list tasks` names them"
TABLE = "a table of sweeps/ by name, or the folder of one of yours"
RUN = "a run folder, or a folder with one finished run below it"
NAMED_RUN = "a run folder, or a run of --runs by its name or the beginning of its id"
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

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments: "):
            flags = [word.partition("=")[0] for word in message.split() if word.startswith("-")]
            message += next(filter(None, (nearest(flag, self._option_string_actions) for flag in flags)), "")
        sys.exit(refuse(f"{message} (try {self.prog} --help)"))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            words = [str(word) for word in action.choices]
            near = nearest(str(value), words)
            raise BadOption(f"no {action.metavar or action.dest} {str(value)!r}{near or ';'} there are: {', '.join(words)}")


Add = Callable[[str, str], argparse.ArgumentParser]


def make_parser() -> argparse.ArgumentParser:
    top = Parser(prog="rnnbench", description="Fair, tracked, repeatable comparisons of recurrent networks on sequence tasks.")
    top.add_argument("--version", action="version", version=f"rnnbench {__version__}")
    verbs = top.add_subparsers(title="verbs", metavar="verb", required=True, parser_class=Parser)

    def add(name: str, about: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=about, description=about)
        added.set_defaults(verb=name)
        return added

    add("train", "train: task=TASK model=MODEL [OPTION=VALUE ...]; -m for a sweep; --help for the options")
    add("estimate", "what a sweep would take: runs, time, disk; OPTION=VALUE,VALUE ... as for train -m")
    _add_sweeps(add)
    _add_workspace(add)
    _add_tables(add)
    _add_tune(add)
    _add_listing(add)
    _add_comparisons(add)
    _add_examinations(add)
    _add_data(add)
    _add_sample(add)
    _add_predict(add)
    _add_machine(add)
    return top


def _add_sweeps(add: Add) -> None:
    status = add("status", "how far sweeps are: recorded, running, interrupted, failed, missing")
    prune = add("prune", "remove old checkpoints of unfinished runs that nobody runs, and half-written files; never a record")
    sync = add("sync", "bring W&B, or another tracker, level with the local records, whatever happened on the way")
    for verb in (status, prune, sync):
        verb.add_argument("what", nargs="*", metavar="SWEEP|PATH", help="sweeps by name, run folders, folders that hold some")
        verb.add_argument("--runs", type=Path, default=Path("runs"), help="the folder of all runs [runs]")
    status.add_argument("--watch", action="store_true", help="one sweep or folder as it goes on, until every run has ended")
    prune.add_argument("--days", type=float, default=30, help="only checkpoints not modified for DAYS days [30]")
    prune.add_argument("--dry-run", action="store_true", help="only say what would be freed")
    about = "remove runs and sweeps: the files that rnnbench wrote; not runs that a process holds or another sweep lists too"
    gone = add("remove", about)
    gone.add_argument("what", nargs="+", metavar="SWEEP|RUN", help=f"sweeps by name or folder; {NAMED_RUN}")
    gone.add_argument("--runs", type=Path, default=Path("runs"), help="the folder of all runs [runs]")
    gone.add_argument("--yes", action="store_true", help="without asking")
    gone.add_argument("--dry-run", action="store_true", help="only say what would go")
    sync.add_argument("--all", action="store_true", help="also runs made without W&B [only those that are named]")
    sync.add_argument("--to", metavar="TRACKER", help="write the runs into another tracker: tensorboard, trackio, ... [wandb]")
    sync.add_argument("--project", help="the project there [that of each run's tracker, or rnnbench]")
    sync.add_argument("--entity", help="user or team there [that of each run's tracker, or the key's own]")


def _add_workspace(add: Add) -> None:
    saved = add("wandb-workspace", "save a view of a W&B project: results, learning, gradients, samples, details closed")
    saved.add_argument("project")
    saved.add_argument("--entity", help="user or team there [as WANDB_ENTITY says, or the key's own]")
    saved.add_argument("--task", help="runs of this task only; its headline is shown [those of all runs here]")
    saved.add_argument("--runs", type=Path, default=Path("runs"), help="the folder of all runs [runs]")
    saved.add_argument("--dry-run", action="store_true", help="print what would be sent, as JSON")


def _add_tables(add: Add) -> None:
    reproduce = add("reproduce", "run a table's missing cells, add seeds where undecided, print the table")
    sweep = add("sweep", "the runs that a file lists, as one sweep; of a table the same as reproduce")
    for verb, what in ((reproduce, "TABLE"), (sweep, "TABLE|FILE")):
        verb.add_argument("what", metavar=what, help=TABLE)
        launching = "trainer.*, tracker.*, runs=, hydra/launcher= and its own"
        verb.add_argument("overrides", nargs="*", metavar="OPTION=VALUE", help=launching)
        verb.add_argument("--rows", help="rows of the table, comma-separated [all]")
        verb.add_argument("--columns", help="columns, comma-separated [all]")
        verb.add_argument("--scale", choices=SCALES, metavar="scale", help="paper, laptop or smoke [the row's cheapest]")
        verb.add_argument(
            "--as",
            dest="published",
            choices=("published", "readings", "choices", "fair"),
            metavar="setting",
            help="published: the ladder from the paper's setting with its quirks to the fair one; readings: every reading of "
            "what the paper leaves open; choices: what validation is to choose, where it says nothing [fair]",
        )
        verb.add_argument("--estimate", action="store_true", help="only say what it would take")
        again = "run again here what is committed, and compare the scores [run what is missing]"
        verb.add_argument("--again", action="store_true", help=again)
        hours = "run for so many hours, always what is most likely to settle an open value or contrast for its cost"
        verb.add_argument("--hours", type=float, metavar="H", help=hours)

    table = add("table", "a table: what was reported, what was measured, the verdicts; torch is not needed")
    table.add_argument("what", metavar="TABLE|all", help=TABLE)
    table.add_argument("--runs", type=Path, help="runs that count beside the committed ones [runs]")
    table.add_argument("--rows", help="rows of the table, comma-separated [all]")
    table.add_argument("--scale", choices=SCALES, metavar="scale", help="paper, laptop or smoke [the best that was run]")
    table.add_argument(
        "--format",
        choices=("terminal", "md", "latex", "html", "csv"),
        default="terminal",
        metavar="format",
        help="terminal, md, latex, html or csv (its cells) [terminal]",
    )
    table.add_argument("--collect", action="store_true", help="copy finished runs into the table's results.jsonl, scrubbed")
    table.add_argument("--write", action="store_true", help="write the table's README, from its results.jsonl alone")


def _add_tune(add: Add) -> None:
    tune = add("tune", "search settings for models, all with the same rules, trials and seed; validation alone is looked at")
    tune.add_argument("task", help=TASK)
    tune.add_argument("words", nargs="+", metavar="MODEL|OPTION=VALUE", help="one model or more; options that all trials share")
    tune.add_argument("--trials", type=int, required=True, help="of each model's study; more than before goes on with it")
    tune.add_argument("--space", default="default", help="the rules: a name in conf/search/, or a file [default]")
    tune.add_argument("--sampler", choices=("tpe", "random", "qmc"), default="tpe", metavar="tpe|random|qmc", help="[tpe]")
    tune.add_argument("--no-prune", action="store_true", help="let every trial run to its end")
    tune.add_argument("--workers", type=int, default=1, help="trials at a time; the same command elsewhere adds to them [1]")
    tune.add_argument("--seed", type=int, default=0, help="of the search and of its runs, in a range of its own [0]")
    tune.add_argument(
        "--storage", help="Optuna database URL, to share a study between machines [a journal in the study's folder]"
    )
    tune.add_argument("--searches", type=Path, default=Path("searches"), help="the folder of all searches [searches]")


def _add_listing(add: Add) -> None:
    listed = add("list", "what there is: tasks with their floors and sources, models with theirs")
    listed.add_argument("kind", choices=("tasks", "models"), metavar="tasks|models")
    listed.add_argument("name", nargs="?", help="one of them: its options, their defaults and ranges")
    listed.add_argument(
        "--details",
        action="store_true",
        help="tasks: data, floor, best known, source, licence, extra; models: parameters and state size at H = 128, back ends",
    )
    listed.add_argument("--budget", metavar="PARAMS", help="models: the width that each has at so many parameters, say 70k")
    listed.add_argument("--task", help="with --budget: the task whose codec and read-out are counted [adding]")


def _add_comparisons(add: Add) -> None:
    compare = add("compare", "what has been run: scores with intervals, floors, solve rates, speed")
    report = add("report", "the same as a page with learning curves, gradient norms, and speed against score")
    for verb in (compare, report):
        verb.add_argument("paths", nargs="*", type=Path, help="run folders, folders that hold some, results.jsonl [runs]")
        verb.add_argument("--task", help="this task only")
    shown = add("show", "one run whole: settings, scores, samples, environment, how to repeat it; of two runs what differs")
    shown.add_argument("run", nargs="+", metavar="RUN", help=NAMED_RUN)
    shown.add_argument("--runs", type=Path, default=Path("runs"), help="the folder of all runs [runs]")
    shown.add_argument("--format", choices=("terminal", "json"), default="terminal", metavar="terminal|json", help="[terminal]")
    drawn = add("figure", "all models of a task on one axis, for a paper: PDF, SVG or PNG, and the data beside it as CSV")
    drawn.add_argument("kind", choices=FIGURES, metavar="|".join(FIGURES), help="score or gradient through time; what x is")
    drawn.add_argument("paths", nargs="*", type=Path, help="run folders, folders that hold some, results.jsonl [runs]")
    drawn.add_argument("--task", help="this task only, by its name or as `compare` calls it, such as adding-T20")
    drawn.add_argument("-o", "--output", type=Path, required=True, help="the figure, a .pdf, .svg or .png")
    drawn.add_argument("--width", default="8cm", help="of the figure, in cm, mm, in or pt [8cm]")
    compare.add_argument("--format", choices=("terminal", "csv", "markdown"), default="terminal")
    report.add_argument("--output", type=Path, default=Path("report.html"), help="the page [report.html]")


def _add_examinations(add: Add) -> None:
    drawn = add("gradients", "a picture of the gradient through time: at initialisation, while and after training")
    drawn.add_argument("paths", nargs="+", type=Path, metavar="RUN", help="run folders, or folders that hold some")
    drawn.add_argument("--task", help="this task only")
    drawn.add_argument("--step", type=int, help="curves of the loss of this step alone, from 1 [the loss as trained on]")
    drawn.add_argument("--output", type=Path, default=Path("gradients.png"), help="a .png, .svg or .html [gradients.png]")

    about = "linear probe: R2 of past inputs decoded from the state, and gradient norm, per lag"
    probed = add("probe", about)
    probed.add_argument("run", type=Path, help=RUN)
    probed.add_argument("--lags", default="", help="steps back, say 1,5,10 [0,1,2,5,10,... as far as sequences go]")
    probed.add_argument("--step", type=int, help="the step whose loss alone is differentiated [the last]")


def _add_data(add: Add) -> None:
    baseline = add("baseline", "what simple baselines score: counting, linear models; validation chooses, test is read once")
    prepare = add("prepare", "fetch and tokenise a task's data now, for machines without a network")
    for verb in (baseline, prepare):
        verb.add_argument("task", help=TASK)
        verb.add_argument("options", nargs="*", metavar="task.OPTION=VALUE", help="its options, as for train")


def _add_sample(add: Add) -> None:
    drawn = add("sample", "text from a trained run: what follows a beginning, or an answer to what is read")
    drawn.add_argument("run", type=Path, help=RUN)
    drawn.add_argument("--prompt", help="what the text begins with, or what is answered [the validation split's beginning]")
    drawn.add_argument("--length", type=int, default=400, help="symbols to write [400]")
    drawn.add_argument("--temperature", type=float, default=1.0, help="below 1 safer, above 1 bolder, 0 the likeliest [1]")
    drawn.add_argument("--top-k", type=int, default=0, help="draw from so many of the likeliest symbols only; 0 from all [0]")
    nucleus = "nucleus sampling: smallest set of symbols with total probability P [1]"
    drawn.add_argument("--top-p", type=float, default=1.0, metavar="P", help=nucleus)
    drawn.add_argument("--seed", type=int, default=0)
    drawn.add_argument("--beam", type=int, help="answers: likeliest beginnings kept [as in training]")
    drawn.add_argument("--length-penalty", type=float, help="answers: 0 favours short ones [as in training]")


def _add_predict(add: Add) -> None:
    answered = add("predict", "what a trained run answers for the rows of a file: classes with their probabilities, as CSV")
    answered.add_argument("run", type=Path, help=RUN)
    answered.add_argument("file", type=Path, help="a file as the task reads it; the column with the classes may be missing")
    answered.add_argument("-o", "--output", type=Path, required=True, help="the CSV file to write")


def _add_machine(add: Add) -> None:
    about = "measure: start-up, the training loop, evaluation, instruments, kernels, data, a run of each task, sweeps, mirrors"
    measured = add("benchmark", about)
    measured.add_argument("what", choices=BENCHMARKS, metavar="|".join(BENCHMARKS))
    measured.add_argument(
        "words", nargs="*", metavar="OPTION", help="data: task=TASK model=MODEL ...; tasks: their names; history: a file"
    )
    measured.add_argument("--quick", action="store_true", help="fewer rounds")
    about = "append the ratios to a file, for history [benchmarks.jsonl]"
    measured.add_argument("--save", nargs="?", const="benchmarks.jsonl", metavar="FILE", help=about)

    shell = add("completion", 'completion for a shell: eval "$(rnnbench completion bash)"')
    shell.add_argument("shell", choices=("bash", "zsh"))
