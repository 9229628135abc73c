# SPDX-License-Identifier: MIT
"""The one error of the lab."""

from __future__ import annotations

#: What ``lab/run`` and ``make lab`` exit with when the lab itself failed, not the command in it.
LAB_FAILED = 125


class LabError(Exception):
    """What happened, why and what to do next, in one line; ``detail`` is shown under it."""

    def __init__(self, line: str, detail: str = "") -> None:
        super().__init__(line)
        self.detail = detail
