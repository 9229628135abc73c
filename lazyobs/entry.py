# SPDX-License-Identifier: MIT
"""The entry point of the command: an interrupt during the imports ends it silently."""

from __future__ import annotations

import gc
import os
import signal
import sys


def main() -> None:
    """Nothing is attached yet, so signals may end the process directly; cli.main() installs the handlers."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as for a job in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()  # what imports make stays: to look for garbage in it is a twentieth of a start. See cli.py.
    try:
        from lazyobs.cli import main as run
    except (OSError, MemoryError) as error:
        why = os.strerror(error.errno or 0) if isinstance(error, OSError) else "out of memory"
        _refuse(f"{why.lower()}; look at ulimit -a, or end other programs")
    except ModuleNotFoundError as error:  # another Python than that of the installation
        from lazyobs.unix.imports import why_missing

        if not (why := why_missing(error)):
            raise
        _refuse(why)
    run()


def _refuse(why: str) -> None:
    os.write(2, f"lazyobs: cannot start: {why}\n".encode())
    sys.exit(3)
