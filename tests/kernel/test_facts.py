# SPDX-License-Identifier: MIT
"""Why the kernel's types and symbols cannot be read: what the kernel lacks, or what is hidden."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazyobs.kernel.facts import read_btf, read_kallsyms


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (["kernel/notes"], "/kernel/btf/vmlinux does not exist: the kernel was built without CONFIG_DEBUG_INFO_BTF"),
        (["kernel/"], "/kernel is hidden here, or sysfs is not mounted"),
        ([], "/kernel is hidden here, or sysfs is not mounted"),
    ],
)
def test_no_types(tmp_path: Path, there: list[str], why: str) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    assert read_btf(["anon_vma"], str(tmp_path))[1].endswith(why)


@pytest.mark.parametrize(
    ("kptr_restrict", "why"),
    [
        ("2", "kernel.kptr_restrict is 2, which no capability overrides; run sysctl kernel.kptr_restrict=1"),
        ("1", "CAP_SYSLOG is needed"),
        ("0", "CAP_SYSLOG is needed"),
        (None, "CAP_SYSLOG is needed"),
    ],
)
def test_hidden_addresses(tmp_path: Path, kptr_restrict: str | None, why: str) -> None:
    (tmp_path / "kallsyms").write_text("0000000000000000 t anon_vma_fork\n")
    if kptr_restrict is not None:
        (tmp_path / "sys/kernel").mkdir(parents=True)
        (tmp_path / "sys/kernel/kptr_restrict").write_text(f"{kptr_restrict}\n")
    assert read_kallsyms(["anon_vma_fork"], str(tmp_path)) == (None, f"{tmp_path}/kallsyms hides the addresses: {why}")
