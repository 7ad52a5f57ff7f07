"""How large the models are: in themselves, and under a parameter budget. Builds them, so it takes seconds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from . import budget, config, models, options, run


def details(width: int = 128) -> str:
    """A line for each model at hidden_size = `width`, fed by as many inputs: parameters and state size of the core alone, in
    numbers; the back ends that can compute it; its source."""
    found = models.details({name: config.node("model", name) for name in config.names("model")}, width)
    rows = [(one.name, f"{one.parameters:,}", f"{one.state_size:,}", ", ".join(one.backends), source(one)) for one in found]
    return table(("model", "parameters", "state", "back ends", "source"), rows)


def source(model: models.Details) -> str:
    """Where a model is from: what the file of its setting says, and the mechanism's own source where that names none."""
    file = config.CONF / "model" / f"{model.name}.yaml"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    said = " ".join(line.removeprefix("#").strip() for line in itertools.takewhile(lambda line: line.startswith("#"), lines))
    return (said if re.search(r"\b(19|20)\d\d\b", said) else f"{said} {model.source}".strip()).rstrip(".")


def within(wanted: str, task: str = "adding") -> str:
    """A line for each model that fits `task`: the width that `budget.params=wanted` chooses, and the exact count of the whole
    network, codec and read-out included; where no width comes within 1 %, the nearest, marked."""
    target = budget.number(wanted)
    if task not in config.names("task"):
        raise options.unknown("task", task, config.names("task"))
    known, rows = None, []
    for name in config.names("model"):
        try:
            (job,) = config.jobs([f"task={task}", f"model={name}"], sweep=False)
        except options.BadOption:  # reads both directions, where a step may not see later ones
            continue
        if known is None:
            known = run.make_task(job)
            known.prepare()
        count = run.counter(job, known)
        width = budget.nearest_width(count, target)
        off = count(width) / target - 1
        missed = "" if abs(off) <= budget.TOLERANCE else "  no width is within 1 %"
        rows.append((name, f"{width:,}", f"{count(width):,}", f"{off:+.2%}{missed}"))
    return table(("model", "hidden_size", "parameters", f"off {target:,}"), rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under their heads; those of numbers stand to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    right = [all(cell.replace(",", "").isdigit() for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in (head, *rows)
    )
