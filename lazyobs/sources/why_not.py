# SPDX-License-Identifier: MIT
"""Why a probe point is not attached, an invariant is not watched, or a kind of event never comes."""

from __future__ import annotations

from typing import Protocol

from lazyobs.bpf.event import KIND_NAMES
from lazyobs.bpf.points import POINTS, points_feeding, stand_in
from lazyobs.invariants import IN_KERNEL, ROWS
from lazyobs.kernel.profile import NO_LAZY, Profile

_VIOLATION = "violation"  # the invariants generate this kind of event, not a probe point
_LAZY_ONLY = frozenset(point.name for point in POINTS if point.lazy_only)


class Attached(Protocol):
    """What became of the points of a plan: a session's, or those of a kernel that was not booted (bpf/outlook.py)."""

    tiers: dict[str, str | None]
    refused: dict[str, dict[str, str]]
    unknown: dict[str, str]
    unjudged: dict[str, str]


def why_not_attached(point: str, session: Attached, profile: Profile) -> str:
    """The reason, for a point without a tier."""
    if point in _LAZY_ONLY and not profile.has_lazy:
        return profile.unknown_design or f"profile {profile.name}: {NO_LAZY}"
    refused = session.refused.get(point)
    if refused:
        return "; ".join(f"{tier}: {why}" for tier, why in refused.items())
    return f"no probe point {point} in this command"


def counted_as(number: str, session: Attached, profile: Profile) -> tuple[str, str]:
    """(the probes' name of that number, ""), or ("", why it is not known).

    ``number``: a counter, histogram or census column of the schema, or "event." and the kind of an event.
    """
    feeding = points_feeding(number)
    missing = [point for point in feeding if not session.tiers.get(point)]
    instead = stand_in(number)
    if feeding and not missing:
        name = number
    elif instead is not None and session.tiers.get(instead[0]):
        name = instead[1]
    else:
        name = ""
    if name in session.unknown:
        return "", session.unknown[name]
    if name:
        return name, ""
    return "", why_not_attached(missing[0], session, profile) if missing else f"no probe point feeds {number}"


def unwatched(session: Attached, profile: Profile) -> dict[str, str]:
    """{invariant: why it is not watched}; empty if all are watched. The ledger also needs barrier readings."""
    found = {}
    for row in ROWS:
        missing = [point for point in row.points if not session.tiers.get(point)]
        if row.lazy and not profile.has_lazy:
            found[row.name] = profile.unknown_design or f"profile {profile.name}: {NO_LAZY}"
        elif missing:
            found[row.name] = why_not_attached(missing[0], session, profile)
        elif row.name in session.unjudged:
            found[row.name] = session.unjudged[row.name]
    return found


def events_missing(session: Attached, profile: Profile) -> dict[str, str]:
    """{kind of event: why it is not available}; empty if all kinds are available."""
    found = {}
    for kind in KIND_NAMES:
        _, why = counted_as(f"event.{kind}", session, profile)
        if why and kind != _VIOLATION:
            found[kind] = why
    not_watched = unwatched(session, profile)
    if all(name in not_watched for name in IN_KERNEL):
        found[_VIOLATION] = "; ".join(dict.fromkeys(not_watched[name] for name in IN_KERNEL))
    return found
