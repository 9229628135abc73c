# SPDX-License-Identifier: MIT
"""Why a probe point is not attached, and why an invariant is not watched."""

from __future__ import annotations

from lazyobs.bpf.session import Session
from lazyobs.invariants import ROWS
from lazyobs.kernel.profile import Profile

_OF_LAZY_KERNELS = ("lazy_prepare", "promotion")


def why_not_attached(point: str, session: Session, profile: Profile) -> str:
    """For a point that has no tier."""
    if point in _OF_LAZY_KERNELS and not profile.has_lazy:
        return f"profile {profile.name}: this kernel has no lazy anon_vmas"
    refused = session.refused.get(point)
    if refused:
        return "; ".join(f"{tier}: {why}" for tier, why in refused.items())
    return f"no probe point {point} in this command"


def unwatched(session: Session, profile: Profile) -> dict[str, str]:
    """{invariant: why it is not watched}; empty where all are. The ledger also needs barrier readings."""
    found = {}
    for row in ROWS:
        missing = [point for point in row.points if not session.tiers.get(point)]
        if row.lazy and not profile.has_lazy:
            found[row.name] = f"profile {profile.name}: this kernel has no lazy anon_vmas"
        elif missing:
            found[row.name] = why_not_attached(missing[0], session, profile)
        elif row.name in session.unjudged:
            found[row.name] = session.unjudged[row.name]
    return found
