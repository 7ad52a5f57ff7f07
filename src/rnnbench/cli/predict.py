"""The verb predict: what a trained run answers for the rows of a file, as CSV."""

from __future__ import annotations

import argparse
import sys
import time
from itertools import chain
from pathlib import Path

from ..console import say
from ..options import BadOption, amount, output_error
from ..store.record import write_atomically
from .sample import named_run


def predict_command(options: argparse.Namespace) -> int:
    output: Path = options.output
    path = named_run(options.run)
    if output.is_dir() or not output.parent.is_dir():
        raise BadOption(f"--output {output}: {'a folder' if output.is_dir() else 'its folder is not there'}; expected a file")
    if output.exists() and output.samefile(options.file):
        raise BadOption(f"--output {output} is the file that is read; name another")
    from ..run.load import load_run  # imports torch
    from ..run.predictions import Count, check_predicts, new_lines
    from ..run.process_settings import configure_process

    configure_process()
    began = time.monotonic()
    try:
        trained = load_run(path, with_data=False)
        count = Count(check_predicts(trained.task, f"{options.run}: task {trained.record['task']['name']}"))
        lines = new_lines(trained.network, trained.task, trained.task.new_rows(str(options.file)), count)
        head = [next(lines), next(lines, b"")]  # what cannot be read is refused before anything is written
    except (ValueError, OSError) as error:
        raise BadOption(str(error)) from None
    if output.is_file() and not _begins_with(output, head[0]):
        raise BadOption(f"--output {output} is there, and holds no answers of such a run; name another file")
    try:
        write_atomically(output, chain(head, lines))
    except OSError as error:
        raise output_error(f"--output {output}", error) from None
    except ValueError as error:
        raise BadOption(str(error)) from None
    seconds = time.monotonic() - began
    done = f"{output}: {amount(count.rows, 'row')} in {seconds:.1f} s, {count.rows / seconds:,.0f} rows/s"
    say("; ".join(filter(None, (done, count.scores()))))
    if odd := count.oddities():
        say(f"{options.file}: {odd}", sys.stderr)
    return 0


def _begins_with(path: Path, line: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(line)) == line
