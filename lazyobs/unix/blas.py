# SPDX-License-Identifier: MIT
"""OpenBLAS, which comes with numpy, where few processes are allowed.

When it is loaded it makes a thread for each CPU, with a buffer each. Where it gets no thread it raises SIGINT, as
Ctrl-C would. Nothing in lazyobs multiplies matrices that are worth a second thread.
"""

from __future__ import annotations

import os

VARIABLE = "OPENBLAS_NUM_THREADS"


def use_one_thread() -> None:
    """Before numpy is imported. The variable is not in os.environ, so that no command that is started has it."""
    if VARIABLE not in os.environ:
        os.putenv(VARIABLE, "1")
