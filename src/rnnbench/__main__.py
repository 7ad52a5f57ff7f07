"""The program: `python -m rnnbench`, and what the command `rnnbench` calls."""

import sys


def run() -> int:
    """The exit code of the command line. Ctrl-C ends it in one line, also while it is imported."""
    try:
        from .cli.main import main  # here, so that an interrupted import is caught

        return main()
    except KeyboardInterrupt:
        from .console import say

        say("rnnbench: interrupted", sys.stderr)
        return 130


if __name__ == "__main__":  # not where a job of a sweep reads this again
    if not sys.flags.safe_path:
        del sys.path[0]  # the current folder, which -m has put there: its files are not to stand for modules
    sys.exit(run())
