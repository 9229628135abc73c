# SPDX-License-Identifier: MIT
"""The probes as the battery uses them: loads them, keeps root, and reads samples."""

from __future__ import annotations

from pathlib import Path

from lazyobs.errors import BpfRefused, NotSupported
from lazyobs.kernel.profile import Profile
from lazyobs.kernel.slab import Slabinfo
from lazyobs.model import Sample, points_by_tier
from lazyobs.sources import sight
from lazyobs.sources.live import LiveSource
from lazyobs.sources.open import attach


class Observer:
    """``why_not``: why events cannot be counted, or "". Does not drop root, which scenarios need."""

    def __init__(
        self, profile_file: Path | None = None, cap: str | None = None, by_process: bool = False, follows: bool = False
    ) -> None:
        """``by_process``: samples are searched for processes by the pids that this process knows; ``follows``: what a
        command does is to be counted apart."""
        self.source: LiveSource | None = None
        self.profile: Profile | None = None
        self.why_not = ""
        if cap == "procfs":
            self.why_not = "--tier procfs"
            return
        if by_process and not sight.sees_every_process():
            self.why_not = "the probes count by the host's pids, and lazyobs runs in a pid namespace"
            return
        try:
            facts, session = attach(profile_file, cap, None, follows=follows)
        except (BpfRefused, NotSupported) as error:
            self.why_not = f"{error.what}: {error.why}"
            return
        self.profile = facts.profile
        self.source = LiveSource(facts, session, Slabinfo(), rates=False)

    def read(self) -> Sample | None:
        return self.source.read() if self.source else None

    def heading(self) -> list[str]:
        """Kernel and probe tiers, for the head of a report."""
        if self.source is None:
            return [f"events are not counted, only page contents are checked: {self.why_not}"]
        sample = self.source.read()
        switch = {True: "on", False: "off", None: "not in this kernel"}[sample.kernel.lazy_enabled]
        lines = [f"kernel {sample.kernel.release}, profile {sample.kernel.profile}, lazy anon_vmas {switch}"]
        by_tier = points_by_tier(sample.tiers, without="not attached")
        lines += [f"{tier}: {', '.join(points)}" for tier, points in by_tier.items()]
        return lines

    def close(self) -> None:
        if self.source:
            self.source.close()
