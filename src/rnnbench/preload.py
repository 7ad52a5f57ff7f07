"""What every process that trains imports, imported as fast as it can be.

Cycles are not collected meanwhile: an import makes half a million objects that stay. Nor are these looked through by later
collections, which also keeps their pages shared among the processes that are forked from this one.
"""

from __future__ import annotations

import atexit
import gc

collects = gc.isenabled()
gc.disable()
try:
    from . import run as run
    from . import training as training
    from . import worker as worker
    from .kernels import recurrence

    recurrence.load()
finally:
    if collects:
        gc.enable()

gc.freeze()
atexit.register(gc.unfreeze)  # or libraries that count what is left at the end complain of it
