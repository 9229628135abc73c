# SPDX-License-Identifier: MIT
"""Why a probe point is not attached, an invariant is not watched, or a kind of event never comes."""

from __future__ import annotations

from lazyobs.bpf.session import Session
from lazyobs.invariants import IN_KERNEL, ROWS
from lazyobs.kernel.profile import Profile

_OF_LAZY_KERNELS = ("lazy_prepare", "promotion")
# kind of event: probe points of which one must be attached
_POINTS_OF_EVENTS = {
    "fork": ("process",),
    "promotion": ("promotion",),
    "promotion_failed": ("promotion",),
    "rmap_walk": ("rmap_walk",),
    "prepare": ("prepare", "slab"),
}


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


def events_missing(session: Session, profile: Profile) -> dict[str, str]:
    """{kind of event: why there are none}; empty where all kinds can come."""
    found = {
        kind: why_not_attached(points[0], session, profile)
        for kind, points in _POINTS_OF_EVENTS.items()
        if not any(session.tiers.get(point) for point in points)
    }
    not_watched = unwatched(session, profile)
    if all(name in not_watched for name in IN_KERNEL):
        found["violation"] = "; ".join(dict.fromkeys(not_watched[name] for name in IN_KERNEL))
    return found
