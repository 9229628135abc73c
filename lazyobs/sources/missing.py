# SPDX-License-Identifier: MIT
"""The features that an attached session lacks, and why."""

from __future__ import annotations

from lazyobs.bpf.event import KIND_NAMES
from lazyobs.bpf.features import ACCOUNT, EVENTS, HELD, HOLDER_STACKS, VMAS
from lazyobs.bpf.session import Session
from lazyobs.bpf.trace_event import SPLAT
from lazyobs.kernel.profile import Profile
from lazyobs.sources.account import why_not_whole
from lazyobs.sources.why_not import events_missing, unwatched, why_not_attached

NO_VMAS = "listing VMAs needs the BPF iterator"
NO_ARGS = "command lines were not asked for"
NO_STREAM = "no event stream in this command"


def missing_features(session: Session, profile: Profile, no_log: str) -> dict[str, str]:
    """{missing feature: why}; every other feature is available. ``no_log``: why splats are not read, "" if they are.
    The ledger also needs barrier readings, which this table does not cover."""
    found = {**events_missing(session, profile), **unwatched(session, profile)}
    if "events" not in session.maps:
        found |= dict.fromkeys((EVENTS, *KIND_NAMES), NO_STREAM)
    if no_log:
        found[SPLAT] = no_log
    if not session.tiers.get("census_vmas"):
        found[VMAS] = f"{NO_VMAS} ({why_not_attached('census_vmas', session, profile)})"
    if not session.tiers.get("holds"):
        found[HOLDER_STACKS] = why_not_attached("holds", session, profile)
    if not session.tiers.get("slab"):
        found[ACCOUNT] = why_not_attached("slab", session, profile)
    elif "ledger" in session.unjudged:  # some allocations are not counted
        found[ACCOUNT] = session.unjudged["ledger"]
    not_held = why_not_attached("census", session, profile) if not session.tiers.get("census") else why_not_whole()
    if not_held:
        found[HELD] = not_held
        found.setdefault("ledger", not_held)
    return found
