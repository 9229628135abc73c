# SPDX-License-Identifier: MIT
"""What is hidden is not taken for what the kernel lacks."""

from __future__ import annotations

import os
from pathlib import Path

from lazyobs.kernel import facts
from lazyobs.kernel.slab import UNKNOWN, Slabinfo


def test_hidden_types(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    why = facts.read_btf((), str(tmp_path))[1]
    assert "hidden" in why and "CONFIG" not in why
    (tmp_path / "kernel/notes").write_bytes(b"")
    assert "CONFIG_DEBUG_INFO_BTF" in facts.read_btf((), str(tmp_path))[1]


def test_hidden_symbols(tmp_path: Path) -> None:
    why = facts.read_kallsyms((), str(tmp_path))[1]
    assert "subset=pid" in why and "CONFIG" not in why
    (tmp_path / "version").write_text("Linux version 6.1")
    assert "CONFIG_KALLSYMS" in facts.read_kallsyms((), str(tmp_path))[1]


def test_the_release_without_sysctls(tmp_path: Path) -> None:
    assert facts.release(str(tmp_path)) == os.uname().release
    (tmp_path / "sys/kernel").mkdir(parents=True)
    (tmp_path / "sys/kernel/osrelease").write_text("6.1.0-test\n")
    assert facts.release(str(tmp_path)) == "6.1.0-test"


def test_hidden_merges(tmp_path: Path) -> None:
    """No merged caches that are seen are not: no merged caches."""
    hidden = Slabinfo(str(tmp_path), str(tmp_path))
    assert "other caches" in hidden.why_no_merges
    assert set(map(tuple, hidden.merged.values())) == {(UNKNOWN,)}
    (tmp_path / "kernel/slab").mkdir(parents=True)
    shown = Slabinfo(str(tmp_path), str(tmp_path))
    assert shown.why_no_merges == ""
    assert set(map(tuple, shown.merged.values())) == {()}
