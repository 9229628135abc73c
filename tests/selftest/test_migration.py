# SPDX-License-Identifier: MIT
"""Scenarios of migration, on kernels that lack what others have."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from lazyobs.selftest import pagemap, syscalls
from lazyobs.selftest.scenarios import migration

THP = "/sys/kernel/mm/transparent_hugepage"


@pytest.mark.parametrize("has_huge_pages", [True, False])
def test_compaction_gives_advice_on_huge_pages_where_there_are_some(
    monkeypatch: pytest.MonkeyPatch, has_huge_pages: bool
) -> None:
    """Kernels of -rt have none, and refuse the advice with EINVAL."""
    given: set[str] = set()
    monkeypatch.setattr(os.path, "exists", lambda path: has_huge_pages if path == THP else os.access(path, os.F_OK))
    monkeypatch.setattr(migration, "madvise", lambda _start, _length, advice: given.add(advice))
    monkeypatch.setattr(syscalls, "libc", SimpleNamespace(memset=lambda *_: None))
    monkeypatch.setattr(pagemap, "frames", lambda pages: [0] * len(pages))
    memory = SimpleNamespace(reserve=lambda _count: 1 << 32, map=lambda *_: None, fill=lambda _pages: None)
    stage: Any = SimpleNamespace(memory=memory)
    next(migration.compaction(stage))
    assert ("NOHUGEPAGE" in given) == has_huge_pages and "DONTNEED" in given
