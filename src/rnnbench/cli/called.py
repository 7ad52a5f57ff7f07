"""What `rnnbench.train` and `rnnbench.sweep` start: `python -m rnnbench.cli.called ANSWER WORD ...`.

It is `rnnbench train WORD ...`. The file ANSWER gets the folders of the runs as JSON, or the line that says why there are none.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ..options import BadOption
from .main import main
from .parser import error_line
from .train import train_runs


def call(answer: Path, words: list[str]) -> int:
    """Runs the command; the exit code."""
    told: dict[str, object] = {}

    def command(words: list[str]) -> int:
        folders: list[str] = []
        try:
            return train_runs(words, folders)
        except BadOption as error:
            told["refused"] = error_line(str(error)).removeprefix("rnnbench: ")
            raise
        finally:
            told["folders"] = folders

    code = main(words, command)
    answer.write_text(json.dumps(told), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(call(Path(sys.argv[1]), sys.argv[2:]))
