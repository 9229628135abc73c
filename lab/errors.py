# SPDX-License-Identifier: MIT
"""The one error of the lab, and how its commands report it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import Protocol

#: What ``lab/run`` and ``make lab`` exit with when the lab itself failed, not the command in it.
LAB_FAILED = 125
#: What ``lab/run`` exits with when the emulator failed, so that the run says nothing.
EMULATOR_FAILED = 123
INTERRUPTED = 130


class Main(Protocol):
    """The main function of a command: arguments (the command line's where None) to exit status."""

    def __call__(self, arguments: Sequence[str] | None = None) -> int: ...


class LabError(Exception):
    """What happened, why and what to do next, in one line; ``detail`` is printed above it; ``status`` is the command's."""

    def __init__(self, line: str, detail: str = "", status: int = LAB_FAILED) -> None:
        super().__init__(line)
        self.detail = detail
        self.status = status


def reports_errors(main: Main) -> Main:
    """Decorates the main function of a command: a LabError is printed, and its exit status returned."""

    @functools.wraps(main)
    def reporting(arguments: Sequence[str] | None = None) -> int:
        try:
            return main(arguments)
        except LabError as error:
            if error.detail:
                print(error.detail.rstrip(), file=sys.stderr)
            print(f"lab: {error}", file=sys.stderr)
            return error.status
        except KeyboardInterrupt:
            return INTERRUPTED

    return reporting
