"""`python -m rnnbench`."""

import sys

if __name__ == "__main__":  # not where a job of a sweep reads this again
    if not sys.flags.safe_path:
        del sys.path[0]  # the current folder, which -m has put there: its files are not to stand for modules
    from .cli.main import main

    sys.exit(main())
