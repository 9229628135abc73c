# SPDX-License-Identifier: MIT
"""Where the command begins: an interrupt while modules are still being imported ends it without a word."""

from __future__ import annotations

import signal


def main() -> None:
    """Nothing is attached yet, so the signals may simply end the process; cli.main() takes them over."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from lazyobs.cli import main as run

    run()
