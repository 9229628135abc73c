# SPDX-License-Identifier: MIT
"""What a source of samples may have or lack, beside the samples: names to ask it by (sources/source.py)."""

from __future__ import annotations

from collections.abc import Mapping

from lazyobs.bpf.event import KIND_NAMES
from lazyobs.bpf.trace_event import SPLAT
from lazyobs.model import INVARIANTS

VMAS, PROGRAMS, EVENTS, ACCOUNT, HELD = "vmas", "programs", "events", "account", "held"
HOLDER_STACKS = "holder_stacks"
FEATURES = (VMAS, PROGRAMS, EVENTS, ACCOUNT, HELD, HOLDER_STACKS, *KIND_NAMES, SPLAT, *INVARIANTS)


def why_not(feature: str, missing: Mapping[str, str]) -> str:
    """The reason in ``missing``, "" where there is none. KeyError for a name that is no feature."""
    if feature not in FEATURES:
        raise KeyError(feature)
    return missing.get(feature, "")
