"""`python -m tests.fuzz MINUTES [KIND ...]`: fuzzes every kind in turn, from a new seed each time, and prints a table.

Each failing example is printed, shrunk; it is to become a named test of what was mended. The exit code is then 1.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.kinds import KINDS, finished_run
from tests.fuzz.law import TooLong

ROUND = 10  # examples of a kind at a time: within minutes each kind has its turn


def fuzz(name: str, number: int, cases: Counter[str]) -> str:
    """Tries ROUND examples of a kind; what is wrong with the smallest that breaks the law, or nothing."""
    strategy, check = KINDS[name]

    @seed(number)
    @settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        cases[name] += 1
        with tempfile.TemporaryDirectory() as place:
            check(Path(place), data.draw(strategy))

    try:
        holds()
    except (Exception, TooLong) as error:
        several = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
        return "\n".join(map(described, several))
    return ""


def described(error: BaseException) -> str:
    notes = "\n".join(getattr(error, "__notes__", []))
    where = "".join(traceback.format_tb(error.__traceback__)[-2:])
    return f"{type(error).__name__}: {str(error)[:1500]}\n{notes[:1500]}\n{where}"


def main(minutes: float, names: list[str]) -> int:
    end, cases, found = time.monotonic() + 60 * minutes, Counter[str](), Counter[str]()
    number = random.SystemRandom().randrange(2**32)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["RNNBENCH_CACHE"], os.environ["RNNBENCH_DATA"] = cache, ""
        finished_run()  # imports what trains
        while time.monotonic() < end:
            for name in names or KINDS:
                number += 1
                if failed := fuzz(name, number, cases):
                    found[name] += 1
                    print(f"== {name}, seed {number}\n{failed}", flush=True)
                if time.monotonic() > end:
                    break
    print(f"{'kind':<14}{'cases':>8}{'failing rounds':>16}")
    for name in names or KINDS:
        print(f"{name:<14}{cases[name]:>8}{found[name]:>16}")
    print(f"{'all':<14}{cases.total():>8}{found.total():>16}")
    return int(found.total() > 0)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
