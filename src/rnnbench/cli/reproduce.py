"""The verbs of reported tables: reproduce, table; and sweep, of a file of command lines."""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from ..analysis.formatting import format_duration
from ..analysis.render import export, to_markdown
from ..config.schema import TUNING
from ..config.winners import winner_notes
from ..console import say, show
from ..launch.costs import format_clock
from ..launch.resume import launching_words
from ..launch.sweep import NothingAtHand, check_launching, launch_file, launch_sweep, sweep_word
from ..options import BadOption, amount, named
from ..reproduction.collect import collect_runs, write_page
from ..reproduction.declaration import SWEEPS, CellSpec, Declaration, load_declaration, table_names
from ..reproduction.evaluate import Results, measure_table, undecided
from ..reproduction.matching import NO_MACHINE_CODE, choice_text, is_compiled, seconds_spent
from ..reproduction.planning import MissingRun, Planner, Question
from ..reproduction.readme import MADE, all_tables, overview_page, table_pages
from ..reproduction.table_runs import find_table_runs
from ..reproduction.verdict_table import cells_table
from ..store.find import find_runs
from .compare import print_complaints

MOST_HOURS = 10_000  # of --hours
WORKERS = "hydra.launcher.workers="


def recall_lag_of(folder: Path) -> float:
    """That metric of a run, from its weights."""
    from .examine import recall_lag  # imports torch, which a table does not need

    return float(recall_lag(folder))


def print_results(results: Results, rows: list[str] | None, format: str) -> None:
    if format == "csv":  # contrasts have other columns
        cells = cells_table(results, rows)
        show(f"{export([cells], 'csv')}\n")
        print_complaints(cells.gaps)
        return
    show(f"{export(all_tables(results, rows), format)}\n")


def table_command(options: argparse.Namespace) -> int:
    """A table from committed records and those of ./runs; --write makes its README, of committed records only."""
    if options.what == "all" and not options.write:
        raise BadOption("all: with --write, the README of every table; without it one table is shown")
    if (options.write or options.collect) and (options.rows or options.scale or options.format != "terminal"):
        raise BadOption("--write and --collect are for the whole table; leave out --rows, --scale and --format")
    if options.runs is not None and not options.runs.is_dir():
        raise BadOption(f"--runs {options.runs}: no such folder")
    runs = options.runs or Path("runs")
    names, written = table_names() if options.what == "all" else [options.what], list[Results]()
    for one in [load_declaration(name) for name in names]:
        if options.collect:
            line, complaints = collect_runs(one, runs, recall_lag_of)
            print_complaints(complaints)
            say(line)
        if options.write:
            results = measure_table(one, None)
            if results.runs.unplaced:
                raise BadOption(f"nothing is written: {'; '.join(results.runs.unplaced)}")
            written.append(results)
            write_pages(one.folder, table_pages(results, to_markdown))
            print_complaints(f"{one.name}: refused: {line}" for line in results.runs.complaints)
        if options.collect or options.write:
            continue
        results = measure_table(one, runs, options.scale)
        print_results(results, named("row", options.rows, results.rows), options.format)
    if options.what == "all":
        write_pages(SWEEPS, {"README.md": overview_page(written, to_markdown)})
    return 0


def write_pages(folder: Path, pages: Mapping[str, str]) -> None:
    """Writes the pages of a table; BadOption, with none written, where one of that name was written by hand."""
    for page in (folder / name for name in pages):
        if page.exists() and MADE not in page.read_text(encoding="utf-8", errors="replace"):
            raise BadOption(
                f"{page}: written by hand; --write makes it anew: keep it under another name (findings.md is shown)"
            )
    for name, text in pages.items():
        write_page(folder / name, text)
        say(str(folder / name))


def reproduce_command(options: argparse.Namespace) -> int:
    """Runs what a table lacks, more seeds where a verdict stays open, and shows it; with --again what is committed, too."""
    if options.hours is not None:
        return _settle_for_hours(options)
    if options.what == "all":
        raise BadOption("all: with --hours, which says for how long; without it one table is run whole")
    table = load_declaration(options.what)
    rows = named("row", options.rows, list(table.grid.rows))
    launching = launching_words(options.overrides)
    if options.published == "choices":
        return _try_choices(table, rows, launching, options)
    cells = _chosen_cells(table, rows, options)
    _check_launching(table, rows, launching)
    runs = _runs_folder(launching)
    code, look, asked = 0, 0, 0
    todo, known = list(cells), find_table_runs(table, runs, options.scale)
    here = find_table_runs(table, runs, options.scale, committed=False) if options.again else known
    repeated = [run for cell in cells for run in known.cells[cell.place].runs.values()] if options.again else []
    if not find_spec("numba") and any(map(is_compiled, repeated)):
        say(f"other digits are to be expected, and up to 50 times the time: {NO_MACHINE_CODE}")
    while todo:
        unread: dict[str, int] = {}  # why the data of runs cannot be read: how many runs
        for rank in sorted({table.grid.rows[cell.row].priority for cell in todo}):
            group = [cell for cell in todo if table.grid.rows[cell.row].priority == rank]
            minutes = {
                (cell.words_of(seed), seed): cell.minutes or 0
                for cell in group
                for seed in {*range(cell.seeds.at(look)), *(known.cells[cell.place].runs if options.again else ())}
                if seed not in here.cells[cell.place].runs
            }
            hours = sum(minutes.values()) / 60  # one run may serve several cells
            spent = seconds_spent(known.cells[cell.place] for cell in group) if options.again else {}
            took = sum(spent.get(run, 0.0) for run in minutes)
            said = f"; those that are committed took {format_duration(took)} of training" if took else ""
            say(
                f"{table.name}, priority {rank}: {amount(len(group), 'cell')}, {amount(len(minutes), 'run')}, declared as "
                f"{hours:.2g} core-hours{said}"
            )
            if not minutes:
                there = [known.cells[cell.place] for cell in group]
                committed = any(seed not in measured.folders for measured in there for seed in measured.runs)
                more = "; --again makes it here once more" if committed and not options.again else ""
                say(f"  all of these are recorded{more}")
            lines = [[*words, f"seed={seed}"] for words, seed in minutes]
            for note in winner_notes(table.winners, lines) if table.winners and not look else ():
                say(f"  {note}")
            ended = _launch_what_is_at_hand(table.name, lines, launching, unread, options.estimate)
            if ended > 1:
                return ended
            code, asked = max(code, ended), asked + len(lines)
        if unread and asked == sum(unread.values()) and not any(known.cells[cell.place].runs for cell in cells):
            raise BadOption("; ".join(unread))
        print_complaints(f"{amount(count, 'run')} left out: {why}" for why, count in unread.items())
        if options.estimate:
            return code
        look, results = look + 1, measure_table(table, runs, options.scale)
        known = here = results.runs
        if options.again:
            break
        open_ = undecided(results, rows)
        todo = [cell for cell in cells if (cell.row, cell.column) in open_ and len(cell.seeds.looks) > look]
    print_results(results, [row for row in rows if row in results.rows], "terminal")
    return code


def _check_launching(table: Declaration, rows: Sequence[str], launching: Sequence[str]) -> None:
    """BadOption for a word that is none, before it turns out that nothing is to be run."""
    if launching:
        cell = next(cell for row in rows for scale in table.scales(row) for cell in table.cells(row, scale))
        check_launching([*cell.words_of(0), "seed=0"], launching)


def _check_columns(table: Declaration, rows: Sequence[str], asked: str | None) -> None:
    """BadOption for a name that is no column of `rows`."""
    there = [column for row in rows for column in table.columns(row)]
    for name in asked.split(",") if asked else ():
        if name not in there and any(name in table.columns(row) for row in table.grid.rows):
            raise BadOption(f"no column {name!r} in {', '.join(rows)}; there: {', '.join(dict.fromkeys(there))}")
    named("column", asked, there)


def _runs_folder(launching: Sequence[str]) -> Path:
    return next((Path(word.partition("=")[2]) for word in launching if word.startswith("runs=")), Path("runs"))


def _try_choices(table: Declaration, rows: Sequence[str], launching: Sequence[str], options: argparse.Namespace) -> int:
    """Runs what validation is to choose among, with a seed that no reported run has, and says which is best by validation."""
    if options.scale or options.again:
        raise BadOption("--as choices: at the paper's scale, and once; without --scale and --again")
    _check_columns(table, rows, options.columns)
    _check_launching(table, rows, launching)
    wanted = options.columns.split(",") if options.columns else None
    choices = [one for row in rows for one in table.choices(row) if wanted is None or one.cell.column in wanted]
    if not choices:
        there = ", ".join(row for row in table.grid.rows if table.choices(row)) or "none"
        raise BadOption(f"--as choices: nothing is to be chosen there; rows with choices: {there}")
    hours = sum(choice.minutes for choice in choices) / 60
    lines = [[*words, f"seed={TUNING}", "test=false"] for choice in choices for words in choice.runs]
    say(f"{table.name}: {amount(len(choices), 'choice')}, {amount(len(lines), 'run')}, declared as {hours:.2g} core-hours")
    code = launch_sweep(lines, sweep_word(table.name), launching, options.estimate, leave_out=True)
    if not options.estimate and (folder := _runs_folder(launching)).is_dir():
        stored, _ = find_runs([folder])
        for choice in choices:
            say(f"{choice.cell.name}, by validation: {choice_text(choice, stored)}")
    return code


def _settle_for_hours(options: argparse.Namespace) -> int:
    """Runs for --hours what is most likely to settle an open question for its cost, and plans again after each batch.

    A batch has as many runs as hydra.launcher.workers, 1 unless given. No run is started that would end too late.
    """
    if not 0 < options.hours <= MOST_HOURS:
        raise BadOption(f"--hours {options.hours:g}: more than 0, and {MOST_HOURS:,} at most")
    if options.columns is not None or options.published or options.again:
        raise BadOption("--hours takes open questions of whole rows: without --columns, --as and --again")
    if options.what == "all" and options.rows is not None:
        raise BadOption("--rows: for one table; `all` takes every row of every table")
    tables = [load_declaration(name) for name in (table_names() if options.what == "all" else [options.what])]
    asked = {one.name: (one, named("row", options.rows, list(one.grid.rows))) for one in tables}
    launching = launching_words(options.overrides)
    _check_launching(*next(iter(asked.values())), launching)
    planner = Planner(asked, options.scale, lambda table: measure_table(table, _runs_folder(launching), options.scale))
    if options.estimate:
        for line in _plan_lines(planner.questions, options.hours):
            say(line)
        return 0
    ends, code = time.monotonic() + 3600 * options.hours, 0
    while (minutes := (ends - time.monotonic()) / 60) > 0 and (chosen := planner.next(minutes)):
        name, question = chosen
        say(f"{_plan_line(name, question)}; {minutes / 60:.2g} h left")
        ended, tried = _run_batch(name, question, minutes, launching)
        if ended > 1:
            return ended
        code = max(code, ended)
        planner.see(name, tried)
    still = planner.may_settle()
    why = "none that fits into what is left of the hours" if still else "nothing is open that more seeds may settle"
    say(f"{amount(still, 'question')} may still be settled; {why}")
    if len(tables) == 1:
        (results,), ((_, rows),) = planner.results.values(), asked.values()
        print_results(results, [row for row in rows if row in results.rows], "terminal")
    return code


def _run_batch(name: str, question: Question, minutes: float, launching: Sequence[str]) -> tuple[int, list[MissingRun]]:
    """Runs as many of what a question lacks as run at once, none longer than `minutes`; the exit code, and what was run."""
    at_once = next((word.partition("=")[2] for word in launching if word.startswith(WORKERS)), "1")
    workers = int(at_once) if at_once.isdigit() and int(at_once) else 1
    batch = list({run.key: run for run in question.missing if run.fits(minutes)}.values())[:workers]
    lines = [[*words, f"seed={seed}"] for words, seed in (run.key for run in batch)]
    others = [word for word in launching if not word.startswith(WORKERS)]
    unread: dict[str, int] = {}
    code = _launch_what_is_at_hand(name, lines, [f"{WORKERS}{workers}", *others], unread)
    print_complaints(f"{amount(count, 'run')} left out: {why}" for why, count in unread.items())
    return code, batch


def _launch_what_is_at_hand(
    table: str,
    lines: Sequence[Sequence[str]],
    launching: Sequence[str],
    unread: dict[str, int],
    estimated: bool = False,
) -> int:
    """Runs those of `lines` whose data can be read; 1 where some cannot, or failed. `unread` counts them where none can."""
    if not lines:
        return 0
    try:
        return launch_sweep(lines, sweep_word(table), launching, estimated, leave_out=True)
    except NothingAtHand as error:
        unread[str(error)] = unread.get(str(error), 0) + len(lines)
        return 1


def _plan_lines(questions: Sequence[tuple[str, Question]], hours: float) -> Iterator[str]:
    """The open questions that more runs may settle, in the order in which they are taken, and how many fit into `hours`."""
    able = sorted((pair for pair in questions if pair[1].missing and pair[1].chance > 0), key=lambda pair: -pair[1].worth)
    yield from (_plan_line(*pair) for pair in able)
    ends = list(itertools.accumulate(question.minutes for _, question in able))
    fit = sum(end <= 60 * hours for end in ends)
    taken = f" (about {format_clock(60 * ends[fit - 1])})" if fit else ""
    yield (
        f"{hours:g} h are enough for the first {fit}{taken} of {amount(len(able), 'open question')}, one after another; what a "
        "run shows changes the order of those after it"
    )


def _plan_line(name: str, question: Question) -> str:
    scales = "/".join(dict.fromkeys(run.cell.scale for run in question.missing))
    runs, time_ = amount(len({run.key for run in question.missing}), "run"), format_clock(60 * question.minutes)
    return f"{name}: {question.name}, {scales} scale: a verdict with a chance of {question.chance:.2f} for {runs}, {time_}"


def _chosen_cells(table: Declaration, rows: Sequence[str], options: argparse.Namespace) -> list[CellSpec]:
    """The cells that --rows, --columns, --scale and --as name, those of the first priority first; BadOption for none."""
    cells: list[CellSpec] = []
    arms = {"published": ("ladder", table.rungs), "readings": ("readings", table.readings)}
    for row in sorted(rows, key=lambda row: table.grid.rows[row].priority):
        scale = options.scale or table.scales(row)[-1]
        if scale != "smoke" and scale not in table.scales(row):
            if options.rows:
                raise BadOption(f"{row} has no scale {scale!r}; it has: {', '.join([*table.scales(row), 'smoke'])}")
            continue
        if options.published in arms:
            cells += [cell for group in arms[options.published][1](row) for cell in group]
            continue
        columns = table.columns(row)
        wanted = list(columns) if options.columns is None else [name for name in options.columns.split(",") if name in columns]
        cells += [table.cell(row, column, scale) for column in wanted]
    _check_columns(table, rows, options.columns)
    if options.published in arms:
        key = arms[options.published][0]
        if options.scale or options.columns:
            raise BadOption(f"--as {options.published}: the grid declares its scale and columns; without --scale and --columns")
        if not cells:
            there = ", ".join(row for row, about in table.grid.rows.items() if getattr(about, key)) or "none"
            raise BadOption(f"--as {options.published}: no row of these has `{key}`; rows that have: {there}")
    if not cells:
        raise BadOption(f"nothing to run: no row has the scale {options.scale}")
    return cells


def sweep_command(options: argparse.Namespace) -> int:
    """The runs that a file lists, a command line each, as one sweep; or those of a table that are not there yet."""
    if not Path(options.what).is_file():
        if Path(options.what).suffix in (".yaml", ".yml"):
            raise BadOption(
                f"sweep {options.what}: there is no such file; allowed: a YAML file with `runs:`, or a table by name"
            )
        return reproduce_command(options)
    if options.rows or options.columns or options.scale or options.published or options.again or options.hours:
        raise BadOption("--rows, --columns, --scale, --as, --again and --hours are for tables, and not for a file")
    sweep = sweep_word(Path(options.what).stem)
    return launch_file(Path(options.what), sweep, launching_words(options.overrides), options.estimate)
