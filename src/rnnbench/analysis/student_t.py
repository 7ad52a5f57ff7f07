"""Student's t distribution: scipy's own functions, without the rest of scipy.special.

Imported as a whole, it takes longer than the comparison that asks for two of its functions.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
import types
from pathlib import Path
from typing import Any

PACKAGE = "scipy.special"


def quantile(freedom: float, p: float) -> float:
    """The t below which a share `p` lies, of so many degrees of freedom."""
    return float(_functions().stdtrit(freedom, p))


def share_below(freedom: Any, t: Any) -> Any:
    """The share below `t`, elementwise."""
    return _functions().stdtr(freedom, t)


@functools.cache
def _functions() -> Any:
    """The module with stdtr and stdtrit: the compiled one where it can be had alone, else scipy.special."""
    scipy = importlib.import_module("scipy")
    if PACKAGE not in sys.modules:
        alone = types.ModuleType(PACKAGE)
        alone.__path__ = [str(Path(scipy.__path__[0], "special"))]
        sys.modules[PACKAGE] = alone  # so that its __init__ is not run
        try:
            with contextlib.suppress(ImportError, AttributeError):
                found = importlib.import_module(f"{PACKAGE}._ufuncs")
                assert found.stdtr and found.stdtrit
                return found
        finally:
            del sys.modules[PACKAGE]
    return importlib.import_module(PACKAGE)
