"""The verbs that train nothing: what there is, what was run, what runs still know, and what this machine can do."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .options import BadOption, named, nearest


def members(options: argparse.Namespace) -> list[tuple[Path, bool]]:
    """The sweeps and folders that the words name; BadOption for one that is neither."""
    from . import jobs
    from .records import DamagedRecord

    try:
        found = [jobs.named(word, options.runs) for word in options.what]
        for folder, is_sweep in found:
            if is_sweep:
                jobs.read_manifest(folder)
    except (FileNotFoundError, PermissionError, DamagedRecord) as error:
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


def complain(lines: Iterable[str]) -> None:
    """A line each, beside what is printed."""
    for line in lines:
        print(line, file=sys.stderr)


def compare(options: argparse.Namespace) -> int:
    from . import renderers, tables

    found = tables.compare(*stored(options))
    print(renderers.export(found, options.format))
    if options.format == "csv":  # whose rows have no place for what was refused
        complain(gap for table in found for gap in table.gaps)
    return 0


def measured(table: Any, runs: Path | None, scale: str | None = None, committed: bool = True) -> Any:
    """What the table's own records say (`committed`), with those below `runs` where there are any."""
    from . import records, reproductions

    own = table.folder / "results.jsonl" if committed else None
    places = [path for path in (own, runs) if path is not None and path.exists()]
    stored, complaints = records.find(places)
    return reproductions.results(table, stored, complaints, scale)


def show(own: Any, rows: list[str] | None, format: str) -> None:
    from . import pages, renderers

    if format == "csv":  # contrasts have other columns
        cells = pages.cells_table(own, rows)
        print(renderers.export([cells], "csv"))
        complain(cells.gaps)
        return
    print(renderers.export(pages.tables(own, rows), format))


def table(options: argparse.Namespace) -> int:
    """A table from committed records and those of ./runs; --write makes its README, of committed records only."""
    from . import declared, pages, renderers

    if options.what == "all" and not options.write:
        raise BadOption("all: with --write, the README of every table; without it one table is shown")
    if (options.write or options.collect) and (options.rows or options.scale or options.format != "terminal"):
        raise BadOption("--write and --collect are of the whole table: without --rows, --scale and --format")
    if options.runs is not None and not options.runs.is_dir():
        raise BadOption(f"--runs {options.runs}: no such folder")
    runs = options.runs or Path("runs")
    names = declared.names() if options.what == "all" else [options.what]
    for one in [declared.load(name) for name in names]:
        if options.collect:
            print(collect(one, runs))
        if options.write:
            page = one.folder / "README.md"
            if page.exists() and pages.MADE not in page.read_text(encoding="utf-8", errors="replace"):
                raise BadOption(
                    f"{page}: written by hand; --write makes it anew: keep it under another name (findings.md is shown)"
                )
            own = measured(one, None)
            write(page, pages.readme(own, renderers.to_markdown))
            print(page)
            complain(f"refused: {line}" for line in own.complaints)
        if options.collect or options.write:
            continue
        own = measured(one, runs, options.scale)
        show(own, named("row", options.rows, own.rows), options.format)
    return 0


def write(path: Path, text: str) -> None:
    from .records import write_atomically

    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise BadOption(f"{path}: {error.strerror or error}") from None


def collect(table: Any, runs: Path) -> str:
    """Copies finished runs of the cells into the table's results.jsonl, scrubbed; what is there stays.

    BadOption where a line there is damaged, or of a schema that is not known here: it is not to be lost without a word.
    """
    from . import measured as measuring
    from . import records

    own, path, refused = measured(table, runs), table.folder / "results.jsonl", []
    kept: dict[str, list[dict[str, Any]]] = {}
    there, damaged = records.find([path]) if path.exists() else ([], [])
    if damaged:
        raise BadOption(f"{damaged[0]}; nothing is collected until that line is mended or removed")
    for run in there:
        if run.record:
            kept.setdefault(run.record["id"], []).append(run.record)
    before, wanted = sum(map(len, kept.values())), measuring.wanted(table)
    for found in own.cells.values():
        now = {f"{table.name}/{found.cell.row}": table.digest(found.cell.row)}
        for seed, folder in found.folders.items():
            record = found.runs[seed].record
            old = kept.get(record["id"], [])
            if len(old) > 1:
                continue  # they disagree, and are refused
            numbers = dict(old[0].get("measures", {})) if old else {}
            declared = {**now, **old[0].get("declared", {})} if old else now  # what stood first stays
            try:
                for metric in wanted[found.cell.row] - set(numbers):
                    numbers[metric] = measuring.measure(folder, metric)
                numbers = {metric: value for metric, value in numbers.items() if value is not None}
                if not old or numbers != old[0].get("measures") or declared != old[0].get("declared"):
                    kept[record["id"]] = [measuring.scrubbed(record, numbers, declared)]
            except (ValueError, OSError) as error:
                refused.append(f"{folder}: {error}")
    found = [record for same in kept.values() for record in same]
    if found:
        write(path, "".join(f"{line}\n" for line in sorted(map(measuring.line, found))))
    complaints = [*own.complaints, *refused]
    complain(complaints)
    return f"{path}: {len(found)} records, {len(found) - before} of them new, {len(complaints)} complaints"


def report(options: argparse.Namespace) -> int:
    from . import figures

    if not options.output.name:
        raise BadOption(f"--output {options.output}: the name of a page, such as report.html")
    try:
        figures.report(*stored(options), options.output)
    except OSError as error:
        raise BadOption(f"--output {options.output}: {error.strerror or error}") from None
    print(options.output)
    return 0


def gradients(options: argparse.Namespace) -> int:
    if options.output.suffix not in (".png", ".svg", ".html"):
        raise BadOption(f"--output {options.output}: a name that ends in .png, .svg or .html")
    runs, complaints = stored(options)
    complain(complaints)
    from . import examine

    examine.gradients(runs, options.output, options.step)
    print(options.output)
    return 0


def probe(options: argparse.Namespace) -> int:
    words = options.lags.split(",") if options.lags else []
    if options.step is not None and options.step < 1:
        raise BadOption(f"--step {options.step}: steps are counted from 1")
    if not all(word.isascii() and word.isdigit() for word in words) or len(set(words)) < len(words):
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
        such = f"; name one, such as {finished[0]}" if finished else "; one is needed"
        raise BadOption(f"{path}: {len(finished) or 'no'} finished runs there{such}")
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
    if trained.task.generates and (options.beam is not None or options.length_penalty is not None):
        raise BadOption(f"--beam, --length-penalty: of answers; task {trained.record['task']['name']} goes on with a text")
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
    if options.words and options.what not in ("data", "tasks"):
        raise BadOption(
            f"{' '.join(options.words)}: `benchmark {options.what}` takes no words; allowed: those of data and tasks"
        )
    importlib.import_module(f".benchmarks.{options.what}", __package__).main(options.quick, options.words)
    return 0


# sweeps as they stand


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
    if not options.days >= 0:  # nan neither
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
