"""`python -m rnnbench`."""

import sys

from .cli.main import main

if __name__ == "__main__":  # not where a job of a sweep reads this again
    sys.exit(main())
