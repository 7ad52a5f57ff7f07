"""The report: one HTML page that opens with no network, from records and logs alone.

A section a task setting: its table, learning curves, gradient norms, speed against score, gradients through time. Charts
are Vega-Lite specifications in words and numbers; the scripts that draw them stand in the page once. A model has one
colour (and, past the palette, one dash) throughout. Nothing of the machine's names or folders reaches the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..config.labels import option_text
from ..console import visible
from ..store.find import FoundRun
from ..store.log import LogRow
from ..store.record import canonical, write_atomically
from .charts import Styles, task_charts
from .comparison import estimate_entries, find_ranks, tabulate
from .comparison_text import result_sentence
from .curves import Logs, read_log
from .drawing import drawing_script, page_policy
from .formatting import format_duration
from .grouping import Asked, ModelResults, TaskResults, flatten_options, group_runs
from .model_matrix import head_of, model_matrix
from .render import to_html
from .table import legend

MOST_RUNS = 300  # of one page; more of several tasks stand in a page a task


def write_report(stored: Iterable[FoundRun], complaints: Iterable[str], output: Path, asked: Asked | None = None) -> Path:
    """Writes the page to `output`, whole or not at all, and returns the path. Raises NoRuns, OSError.

    More than MOST_RUNS runs of several tasks have a page for each task, in a folder beside it that is called as it is.
    """
    found, refusals = group_runs(stored, complaints, asked)
    runs = sum(len(entry.recorded) + len(entry.unfinished) for block in found for entry in block.entries)
    folder = output.with_suffix("") if runs > MOST_RUNS and len(found) > 1 else None
    if folder:
        folder.mkdir(exist_ok=True)
    pages = ReportPages(found, refusals, folder.name if folder else "", output.name)
    for name, page in pages.each():
        write_atomically(folder / name if folder and name else output, page.encode("utf-8", "backslashreplace"))
    return output


def report_page(stored: Iterable[FoundRun], complaints: Iterable[str], asked: Asked | None = None) -> str:
    """The HTML of all in one page. Raises NoRuns."""
    ((_, page),) = ReportPages(*group_runs(stored, complaints, asked)).each()
    return page


class ReportPages:
    """The pages of a report: one, or with a `folder` one that lists the tasks (`top`) and one for each of them."""

    def __init__(self, found: Sequence[TaskResults], refusals: Sequence[str], folder: str = "", top: str = ""):
        self._found, self._refusals, self._folder, self._top = found, refusals, folder, top
        # First: it names the models alike in all tasks. Its gaps stand with each task.
        self._index = replace(model_matrix(found), gaps=()) if len(found) > 1 else None
        self._styles = Styles(sorted({entry.label for block in found for entry in block.entries}))
        self._unread: list[str] = []

    def each(self) -> Iterator[tuple[str, str]]:
        """(name, HTML) of each page; the one with all tasks comes last and has no name."""
        anchors = [f"task-{number}" for number in range(1, len(self._found) + 1)]
        if not self._folder:
            sections = [self._section(block, anchor) for block, anchor in zip(self._found, anchors, strict=True)]
            yield "", self._page(sections, [f"#{anchor}" for anchor in anchors], self._found)
            return
        notes: list[str] = []
        for block, anchor in zip(self._found, anchors, strict=True):
            section = self._section(block, anchor)
            notes += legend([section["table"]])
            yield f"{anchor}.html", self._page([section], [], [block], notes=legend([section["table"]]))
        links = [f"{self._folder}/{anchor}.html" for anchor in anchors]
        yield "", self._page([], links, self._found, notes=list(dict.fromkeys(notes)))

    def _section(self, block: TaskResults, anchor: str) -> dict[str, Any]:
        """What the page says of one task."""
        table, estimates = tabulate(block), estimate_entries(block)
        logs = {entry.label: _logs(entry, block.headline, self._unread) for entry in block.entries}
        marks = {row[0].text: self._styles.mark(row[0].text) for row in table.rows}
        return {
            "anchor": anchor,
            "sentence": result_sentence(block, estimates, find_ranks(block, estimates, at_floor=True)),
            "table": table,
            "html": to_html(table, marks),
            "marks": marks,
            "charts": task_charts(block, logs, self._styles),
            "written": written_samples(logs),
        }

    def _page(
        self, sections: Sequence[dict[str, Any]], links: Sequence[str], blocks: Sequence[TaskResults], notes: Sequence[str] = ()
    ) -> str:
        from jinja2 import Environment, StrictUndefined

        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        environment.filters["share"] = shared_text
        environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
        template = environment.from_string(files("rnnbench.analysis").joinpath("report.html.j2").read_text(encoding="utf-8"))
        heads = dict(zip([head_of(block) for block in self._found], links, strict=False))
        whole = bool(links)
        index = self._index if whole else None
        tables = [*([index] if index else []), *(section["table"] for section in sections)]
        refusals = (*self._refusals, *self._unread) if whole else ()
        return template.render(
            sections=sections,
            links=list(zip([block.label for block in self._found], links, strict=False)) if whole else [],
            back=None if whole else f"../{self._top}",
            index={"title": index.title, "caption": index.caption, "html": to_html(index, None, heads)} if index else None,
            summary=report_summary(blocks),
            notes=list(dict.fromkeys([*legend(tables), *notes])),
            refusals=[visible(shared_text(" ".join(refusal.split()))) for refusal in refusals],
            origins=origins(blocks),
            script=drawing_script() if sections else "",
            policy=page_policy,
        )


def shared_text(words: str) -> str:
    """`words` with every absolute path cut to its end, so that a page can be shown to others."""

    def end(path: re.Match[str]) -> str:
        parts = path[0].split("/")
        return "…/" + "/".join(parts[-3:] if len(parts) > 6 else parts[-1:])  # <model>/<run>/<file> of a run folder

    return re.sub(r"(?<![\w.…/])(?:~|[A-Za-z]:)?(?:/[^/\n:'\"]+){2,}", end, words)


def _runs(entry: ModelResults) -> list[FoundRun]:
    return [run for run in entry.recorded + entry.unfinished if run.path.is_dir()]


def _logs(entry: ModelResults, headline: str, unread: list[str]) -> dict[int, list[LogRow]]:
    """By seed what a page shows of its log: curves of each seed, and of the lowest that has them gradients and samples."""
    curves = {"step", f"validation/{headline}", "train/gradient_norm"}
    once = {"train/state_gradient/": False, "validation/samples": False}  # beginnings of names: whether a seed had such rows
    runs, found = _runs(entry), {}
    for run in sorted(runs, key=lambda run: run.config["seed"]):
        rows = read_log(run, unread)
        wanted = [name for name, there in once.items() if not there]
        once |= {start: any(name.startswith(start) and row[name] for row in rows for name in row) for start in wanted}
        starts = tuple(start for start in wanted if once[start])
        kept = [{name: row[name] for name in row if name in curves or (starts and name.startswith(starts))} for row in rows]
        found[run.config["seed"]] = kept
    return {run.config["seed"]: found[run.config["seed"]] for run in runs}


def written_samples(logs: Logs) -> list[dict[str, object]]:
    """What each model wrote at its last evaluation, by its first seed that wrote anything."""
    found: list[dict[str, object]] = []
    for label, seeds in logs.items():
        for _, rows in sorted(seeds.items()):
            if last := [row for row in rows if row.get("validation/samples")][-1:]:
                found.append({"label": label, "step": last[0]["step"], "rows": last[0]["validation/samples"]})
                break
    return found


def report_summary(found: Sequence[TaskResults]) -> dict[str, object]:
    """What was run, in numbers."""
    entries = [entry for block in found for entry in block.entries]
    records = [record for entry in entries for record in entry.records]
    days = sorted({str(record["ended"])[:10] for record in records})
    seconds = sum(record["speed"]["seconds"] or 0.0 for record in records)
    counts = {
        "finished run": sum(len(entry.finished) for entry in entries),
        "task": len(found),
        "model": len({entry.label for entry in entries}),
    }
    return {
        "counts": [(number, name if number == 1 else f"{name}s") for name, number in counts.items()],
        "other": [
            (word, number)
            for word in ("diverged", "unfinished", "refused")
            if (number := sum(len(getattr(entry, word)) for entry in entries))
        ],
        "missing": sum(len(entry.missing) for entry in entries),
        "training": format_duration(seconds),
        "days": f"{days[0]} to {days[-1]}" if len(days) > 1 else "".join(days),
    }


PRIVATE = re.compile(r"host|node|user|path|folder|director|cwd|argv|command|pid|file", re.IGNORECASE)


def origins(found: Sequence[TaskResults]) -> list[tuple[str, str]]:
    """Versions, hardware and process settings of the recorded runs, each with all values it had; no names, no paths."""
    values: dict[str, dict[str, None]] = {}
    records = (record for block in found for entry in block.entries for record in entry.records)
    told = ({**one["versions"], "commit": one["commit"], **one["hardware"], **one["process"]} for one in records)
    for distinct in {canonical(one): one for one in told}.values():  # most runs of a sweep tell the same
        for key, value in flatten_options(distinct).items():
            if value not in (None, "", []) and not PRIVATE.search(key):
                values.setdefault(key, {})[shared_text(option_text(value))] = None
    return [(key.replace("_", " "), ", ".join(several)) for key, several in values.items()]
