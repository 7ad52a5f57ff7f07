"""The verb figure: all models of one task on one axis, as a file for a paper."""

from __future__ import annotations

import argparse
import re

from ..analysis.figures import make_figure, save_figure
from ..analysis.grouping import group_runs
from ..console import say
from ..options import BadOption, output_error, unknown
from .compare import chosen_runs, print_complaints

SUFFIXES = (".pdf", ".svg", ".png")
WIDTH = re.compile(r"(\d+(?:\.\d*)?|\.\d+) ?(cm|mm|in|pt)")
UNITS = {"cm": 1.0, "mm": 0.1, "in": 2.54, "pt": 2.54 / 72}  # centimetres
NARROWEST, WIDEST = 4.0, 50.0  # centimetres


def figure_command(options: argparse.Namespace) -> int:
    if options.output.suffix not in SUFFIXES:
        raise BadOption(f"--output {options.output}: allowed: a name that ends in .pdf, .svg or .png")
    width = parse_width(options.width)
    blocks, complaints = group_runs(*chosen_runs(argparse.Namespace(paths=options.paths, task=None)))
    print_complaints(complaints)
    if options.task:
        chosen = [block for block in blocks if options.task in (block.name, block.label)]
        if not chosen:
            raise unknown("task", options.task, dict.fromkeys(name for block in blocks for name in (block.name, block.label)))
        blocks = chosen
    figure = make_figure(options.kind, blocks)
    print_complaints(figure.unread)
    try:
        written = save_figure(figure, options.output, width)
    except OSError as error:
        raise output_error(f"--output {options.output}", error) from None
    for path in written:
        say(str(path))
    return 0


def parse_width(text: str) -> float:
    """A width such as `8cm` in centimetres."""
    found = WIDTH.fullmatch(text.strip())
    width = float(found[1]) * UNITS[found[2]] if found else 0.0
    if not NARROWEST <= width <= WIDEST:
        raise BadOption(f"--width {text}: allowed: {NARROWEST:g}cm to {WIDEST:g}cm, in cm, mm, in or pt, such as 8cm")
    return width
