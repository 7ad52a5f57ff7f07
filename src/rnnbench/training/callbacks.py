"""The callbacks of other packages that a run is trained with, and which of them an exception comes from."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator, Mapping, Sequence

import pytorch_lightning as lightning

from ..options import Failed, shortened
from ..plugins.callbacks import find_callback
from ..plugins.classes import load_class


def make_callbacks(names: Sequence[str]) -> dict[str, lightning.Callback]:
    """One callback of each of `names`; Failed where one cannot be made."""
    made: dict[str, lightning.Callback] = {}
    for name in names:
        kind = load_class(find_callback(name))
        try:
            made[name] = kind()
        except Exception as error:
            raise _failed(name, error, *_innermost(error)) from error
    return made


@contextlib.contextmanager
def attributed(callbacks: Mapping[str, lightning.Callback]) -> Iterator[None]:
    """Turns an exception that one of `callbacks` raises into Failed, with its name, file and line."""
    try:
        yield
    except Exception as error:
        for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
            for name, callback in callbacks.items():
                if frame.f_locals.get("self") is callback:
                    raise _failed(name, error, frame.f_code.co_filename, line) from error
        raise


def _innermost(error: Exception) -> tuple[str, int]:
    frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
    return frame.f_code.co_filename, line


def _failed(name: str, error: Exception, file: str, line: int) -> Failed:
    said = shortened(": ".join([type(error).__name__, *filter(None, [" ".join(str(error).split())])]), 150)
    return Failed(f"callback {name} raised {said} ({file}:{line})")
