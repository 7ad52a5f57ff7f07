"""What the server that jobs are forked from imports: all that they need. It ends at once.

It has nothing to tidy up, and taking half a million objects apart takes a second, in which it would keep the launcher's
output open: whoever reads that by a pipe would wait for it.
"""

from __future__ import annotations

import atexit
import os
import signal

from ..run.imports import quick_imports

interrupts = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the launcher's; it would end an import with a traceback
with quick_imports():
    from ..kernels.loading import load_kernels
    from ..training.light_lightning import import_lightning

    import_lightning()
    from ..run import training_run as training_run
    from . import jobs as jobs

    load_kernels()

signal.signal(signal.SIGINT, interrupts)
# A terminal that closes tells all its processes; the server ends with the launcher, which still has to hear its jobs.
for number in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)


def _end(server: int) -> None:
    if os.getpid() == server:  # and not of a job
        os._exit(0)


atexit.register(_end, os.getpid())
