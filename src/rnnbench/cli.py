"""The verbs. Nothing heavy is imported before its verb's arguments are known to be good."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import __version__, asking, starting
from .options import BadOption, nearest

BAD_INPUT, INTERRUPTED = 2, 130  # exit codes


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a verb; the exit code is 0, 1 where something failed, 2 for bad input, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:  # closed: `>&-`
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115, open until the end
        elif hasattr(stream, "reconfigure") and not stream.closed and stream.errors == "strict":
            stream.reconfigure(errors="replace")  # of an encoding without our letters
    try:
        if words[:1] == ["train"]:
            return starting.train(words[1:])
        if words[:1] == ["estimate"] and not {"-h", "--help"} & set(words):
            return starting.estimate(words[1:])
        if words[:1] == ["complete"]:
            return complete(words[1:])
        top = parser()
        known = verbs_of(top)
        verb = known.get("".join(words[:1]))  # whose flags and words may stand in any order
        options = verb.parse_intermixed_args(words[1:]) if verb else top.parse_args(words)
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


def verbs_of(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the verbs, by name."""
    (verbs,) = (action.choices for action in top._actions if isinstance(action, argparse._SubParsersAction))
    return dict(verbs)


def refuse(message: str) -> int:
    print(f"rnnbench: {' '.join(message.split())}", file=sys.stderr)
    return BAD_INPUT


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
        ("status", asking.status, "how far sweeps are: recorded, running, interrupted, failed, missing"),
        ("prune", asking.prune, "remove old checkpoints of unfinished runs that nobody runs; never a record"),
        (
            "sync",
            asking.sync,
            "bring W&B level with the local records: one run there for one here, whatever happened on the way",
        ),
    ):
        added = verb(name, run, about)
        added.add_argument("what", nargs="*", metavar="SWEEP|PATH", help="sweeps by name, run folders, folders that hold some")
        added.add_argument("--runs", type=Path, default=Path("runs"), help="the folder of all runs [runs]")
        if run is asking.prune:
            added.add_argument("--days", type=float, default=30, help="untouched for so long [30]")
            added.add_argument("--dry-run", action="store_true", help="only say what would be freed")
        if run is asking.sync:
            added.add_argument("--project", help="the project there [that of each run's tracker, or rnnbench]")
            added.add_argument("--entity", help="user or team there [that of each run's tracker, or the key's own]")

    for name, run, about in (
        (
            "reproduce",
            starting.reproduce,
            "what a paper's table lacks is run, more seeds where a verdict is open, then the table",
        ),
        ("sweep", starting.sweep, "the runs that a file lists, as one sweep; of a table the same as reproduce"),
    ):
        added = verb(name, run, about)
        what = "TABLE" if name == "reproduce" else "TABLE|FILE"
        added.add_argument("what", metavar=what, help="a table of sweeps/ by name, or the folder of one of yours")
        added.add_argument(
            "words", nargs="*", metavar="OPTION=VALUE", help="trainer.*, tracker.*, runs=, hydra/launcher= and its own"
        )
        added.add_argument("--rows", help="rows of the table, parted by commas [all]")
        added.add_argument("--columns", help="columns, parted by commas [all]")
        added.add_argument(
            "--scale", choices=("paper", "laptop", "smoke"), metavar="scale", help="paper, laptop or smoke [the row's cheapest]"
        )
        added.add_argument(
            "--as",
            dest="published",
            choices=("published", "fair"),
            metavar="setting",
            help="published: the ladder from the paper's setting with its quirks to the fair one [fair]",
        )
        added.add_argument("--estimate", action="store_true", help="only say what it would take")
        added.add_argument(
            "--again", action="store_true", help="make here what is committed, too, and hold it against that [what is lacking]"
        )

    shown = verb("table", asking.table, "a table: what was reported, what was measured, the verdicts; torch is not needed")
    shown.add_argument("what", metavar="TABLE|all", help="a table of sweeps/ by name, or the folder of one of yours")
    shown.add_argument("--runs", type=Path, help="runs that count beside the committed ones [runs]")
    shown.add_argument("--rows", help="rows of the table, parted by commas [all]")
    shown.add_argument(
        "--scale", choices=("paper", "laptop", "smoke"), metavar="scale", help="paper, laptop or smoke [the best that was run]"
    )
    shown.add_argument(
        "--format",
        choices=("terminal", "md", "latex", "html", "csv"),
        default="terminal",
        metavar="format",
        help="terminal, md, latex, html or csv (its cells) [terminal]",
    )
    shown.add_argument("--collect", action="store_true", help="copy finished runs into the table's results.jsonl, scrubbed")
    shown.add_argument("--write", action="store_true", help="write the table's README, from its results.jsonl alone")

    tuned = verb(
        "tune",
        starting.tune,
        "search settings for models, all with the same rules, trials and seed; validation alone is looked at",
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

    listed = verb("list", asking.list_, "what there is: tasks with their floors and sources, models with theirs")
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
        ("compare", asking.compare, "what has been run: scores with intervals, floors, solve rates, speed"),
        ("report", asking.report, "the same as a page with learning curves, gradient norms, and speed against score"),
    ):
        added = verb(name, run, about)
        added.add_argument("paths", nargs="*", type=Path, help="run folders, folders that hold some, results.jsonl [runs]")
        added.add_argument("--task", help="this task only")
        if run is asking.compare:
            added.add_argument("--format", choices=("terminal", "csv", "markdown"), default="terminal")
        else:
            added.add_argument("--output", type=Path, default=Path("report.html"), help="the page [report.html]")

    drawn = verb(
        "gradients", asking.gradients, "a picture of the gradient through time: at initialisation, while and after training"
    )
    drawn.add_argument("paths", nargs="+", type=Path, metavar="RUN", help="run folders, or folders that hold some")
    drawn.add_argument("--task", help="this task only")
    drawn.add_argument("--step", type=int, help="curves of the loss of this step alone, from 1 [the loss as trained on]")
    drawn.add_argument("--output", type=Path, default=Path("gradients.png"), help="a .png, .svg or .html [gradients.png]")

    probed = verb(
        "probe",
        asking.probe,
        "by lag: how well a linear map of the state gives back the past, and how much gradient gets there",
    )
    probed.add_argument("run", type=Path, help="a run folder, or a folder with one finished run below it")
    probed.add_argument("--lags", default="", help="steps back, say 1,5,10 [0,1,2,5,10,... as far as sequences go]")
    probed.add_argument("--step", type=int, help="the step whose loss alone is differentiated [the last]")

    for name, run, about in (
        (
            "baseline",
            asking.baseline,
            "what simple baselines score: counting, linear models; validation chooses, test is read once",
        ),
        ("prepare", asking.prepare, "fetch and tokenise a task's data now, for machines without a network"),
    ):
        added = verb(name, run, about)
        added.add_argument("task", help="a task; `rnnbench list tasks` names them")
        added.add_argument("options", nargs="*", metavar="task.OPTION=VALUE", help="its options, as for train")

    drawn = verb("sample", asking.sample, "text from a trained run: what follows a beginning, or an answer to what is read")
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
        "benchmark",
        asking.benchmark,
        "measure: the training loop, instruments, kernels, data, a run of each task, sweeps, mirrors",
    )
    measured.add_argument("what", choices=measures, metavar="|".join(measures))
    measured.add_argument("words", nargs="*", metavar="OPTION", help="data: task=TASK model=MODEL ...; tasks: their names")
    measured.add_argument("--quick", action="store_true", help="fewer rounds")

    shell = verb("completion", completion, 'completion for a shell: eval "$(rnnbench completion bash)"')
    shell.add_argument("shell", choices=("bash", "zsh"))
    return top


def completion(options: argparse.Namespace) -> int:
    from .completion import SCRIPTS

    print(SCRIPTS[options.shell])
    return 0


def complete(_words: Sequence[str]) -> int:
    """The words that the shell may put at the end of COMP_LINE, a line each."""
    from .completion import found

    print(*found(os.environ.get("COMP_LINE", ""), verbs_of(parser())), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
