# SPDX-License-Identifier: MIT
"""The features that an attached session lacks, and why."""

from __future__ import annotations

from lazyobs.bpf.event import KIND_NAMES
from lazyobs.bpf.features import ACCOUNT, EVENTS, VMAS
from lazyobs.bpf.session import Session
from lazyobs.bpf.trace_event import SPLAT
from lazyobs.kernel.profile import Profile
from lazyobs.sources.why_not import events_missing, unwatched, why_not_attached

NO_VMAS = "VMAs one by one need the BPF iterator"
NO_STREAM = "no event stream in this command"


def missing_features(session: Session, profile: Profile, no_log: str) -> dict[str, str]:
    """{feature: why there is none}; what is not in it is there. ``no_log``: why no splats are read, "" where they are.
    The ledger also needs barrier readings, which the source knows nothing of."""
    found = {**events_missing(session, profile), **unwatched(session, profile)}
    if "events" not in session.maps:
        found |= dict.fromkeys((EVENTS, *KIND_NAMES), NO_STREAM)
    if no_log:
        found[SPLAT] = no_log
    if not session.tiers.get("census_vmas"):
        found[VMAS] = f"{NO_VMAS} ({why_not_attached('census_vmas', session, profile)})"
    if not session.tiers.get("slab"):
        found[ACCOUNT] = why_not_attached("slab", session, profile)
    elif "ledger" in session.unjudged:  # not all allocations are counted
        found[ACCOUNT] = session.unjudged["ledger"]
    return found
