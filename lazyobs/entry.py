# SPDX-License-Identifier: MIT
"""The entry point of the command: an interrupt during the imports ends it silently."""

from __future__ import annotations

import gc
import signal


def main() -> None:
    """Nothing is attached yet, so signals may end the process directly; cli.main() installs the handlers."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as for a job in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()  # what imports make stays: to look for garbage in it is a twentieth of a start. See cli.py.
    from lazyobs.cli import main as run

    run()
