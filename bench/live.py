# SPDX-License-Identifier: MIT
"""The live source that the benchmarks measure."""

from __future__ import annotations

from lazyobs.sources.live import LiveSource
from lazyobs.sources.open import open_live


def live_source(cap: str | None = None) -> LiveSource:
    """The running kernel, as root; ``cap`` is the best tier to try. RuntimeError if BPF cannot be loaded: there is
    nothing to measure at the procfs tier."""
    opened = open_live(cap=cap, keep_root=True)
    if not isinstance(opened.source, LiveSource):
        opened.source.close()
        raise RuntimeError(f"the probes cannot be loaded: {opened.why_not}")
    return opened.source
