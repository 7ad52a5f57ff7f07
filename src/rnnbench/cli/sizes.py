"""How large the models are: in themselves, and under a parameter budget. Builds them, so it takes seconds."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..config.budget import TOLERANCE, nearest_width, parse_count
from ..config.compose import compose_jobs
from ..config.schema import choice_names, choice_settings, file_comment
from ..models.details import MechanismDetails, mechanism_details
from ..options import BadOption, unknown
from ..run.plan import make_task, parameter_counter
from .choices import working_choices


def model_details(width: int = 128) -> str:
    """A line for each model at hidden_size = `width`, fed by as many inputs: parameters and state size of the core alone, in
    numbers; the back ends that can compute it; its source."""
    found = mechanism_details({name: choice_settings("model", name) for name in working_choices("model")}, width)
    rows = [
        (one.name, f"{one.parameters:,}", f"{one.state_size:,}", ", ".join(one.backends), source_of_model(one)) for one in found
    ]
    return plain_table(("model", "parameters", "state", "back ends", "source"), rows)


def source_of_model(model: MechanismDetails) -> str:
    """Where a model is from: what the file of its setting says, and the mechanism's own source where that names none."""
    said = " ".join(file_comment("model", model.name))
    return (said if re.search(r"\b(19|20)\d\d\b", said) else f"{said} {model.source}".strip()).rstrip(".")


def widths_within(wanted: str, task: str = "adding") -> str:
    """A line for each model that fits `task`: the width that `budget.params=wanted` chooses, and the exact count of the whole
    network, codec and read-out included; where no width comes within 1 %, the nearest, marked."""
    target = parse_count(wanted)
    if task not in choice_names("task"):
        raise unknown("task", task, choice_names("task"))
    known, rows = None, []
    for name in working_choices("model"):
        try:
            (job,) = compose_jobs([f"task={task}", f"model={name}"], sweep=False)
        except BadOption:  # reads both directions, where a step may not see later ones
            continue
        if known is None:
            known = make_task(job)
            known.prepare()
        count = parameter_counter(job, known)
        width = nearest_width(count, target)
        off = count(width) / target - 1
        missed = "" if abs(off) <= TOLERANCE else f"  no width is within {100 * TOLERANCE:g} %"
        rows.append((name, f"{width:,}", f"{count(width):,}", f"{off:+.2%}{missed}"))
    return plain_table(("model", "hidden_size", "parameters", f"off {target:,}"), rows)


def plain_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under their heads; those of numbers stand to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    right = [all(cell.replace(",", "").isdigit() for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in (head, *rows)
    )
