# SPDX-License-Identifier: MIT
"""What a judgement is asked for. It imports nothing that is heavy: the command line needs it for its help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

UNTIL = ("take", "card", "checks", "measure")
PLAIN, DEBUG = "plain", "debug"
BASE = "base"  # the name of the arm that the others are judged beside
FLAVOURS = {
    PLAIN: "as a distribution would build it, but small",
    DEBUG: "KASAN, lockdep and the mm's own checks",
}


@dataclass(frozen=True)
class Asked:
    """``workload``: a program of the user's own; ``until``: the last of UNTIL that is done; ``budget``: seconds of boots;
    ``flavours``: of FLAVOURS; ``options``: of the configuration of every arm, ``base_options``: of the base, too."""

    series: tuple[str, ...]
    base: str | None
    arms: tuple[tuple[str, str], ...]
    cover: Path | None
    output: Path | None
    cache: Path | None
    budget: float
    flavours: tuple[str, ...]
    options: tuple[str, ...]
    base_options: tuple[str, ...]
    until: str
    each_patch: bool
    workload: Path | None
