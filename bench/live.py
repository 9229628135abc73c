# SPDX-License-Identifier: MIT
"""The live source that the benchmarks measure."""

from __future__ import annotations

from lazyobs.sources.live import LiveSource
from lazyobs.sources.open import open_live


def live_source(cap: str | None = None) -> LiveSource:
    """The running kernel, as root; ``cap`` is the best tier to use. RuntimeError where BPF cannot be loaded:
    of the procfs tier there is nothing to measure."""
    opened = open_live(cap=cap, keep_root=True)
    if not isinstance(opened.source, LiveSource):
        opened.source.close()
        raise RuntimeError(f"the probes cannot be loaded: {opened.why_not}")
    return opened.source
