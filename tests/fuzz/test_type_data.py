# SPDX-License-Identifier: MIT
"""Damaged type data of another kernel, as ``lazyobs doctor --against`` gets it: a reason in a line, and an end."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lazyobs.bpf import outlook, patch_names
from lazyobs.errors import LazyobsError, NotSupported
from lazyobs.judge import series
from lazyobs.kernel import profile, type_data
from lazyobs.kernel.btf import BtfError
from lazyobs.unix.small_file import Unusable
from tests.fuzz.fuzzing import bounded, nearly, tries
from tests.kernel import made_kernel, test_type_data
from tests.kernel.made_btf import Types

KERNEL = made_kernel.types()
HEADER = 24


@st.composite
def with_other_words(draw: Any) -> bytes:
    """The kernel with up to eight words of its types changed: kinds, counts, ids, offsets of names."""
    content = bytearray(KERNEL)
    words = struct.unpack_from("<I", KERNEL, 12)[0] // 4
    for _ in range(draw(st.integers(1, 8))):
        at = HEADER + 4 * draw(st.integers(0, words - 1))
        value = draw(
            st.one_of(st.integers(0, 200), st.integers(0, 2**32 - 1), st.sampled_from((0x4000002, 0x8400FFFF)))
        )
        struct.pack_into("<I", content, at, value)
    return bytes(content)


def judge(data: bytes) -> None:
    bounded(lambda: outlook.fields(outlook.of(data, b"", "made", None, None).facts), BtfError, Unusable, NotSupported)


@tries(60)
@given(data=with_other_words())
def test_types_with_other_words(data: bytes) -> None:
    judge(data)


@tries(40)
@given(data=nearly(KERNEL))
@example(data=KERNEL[:-1])
@example(data=KERNEL[: HEADER + 400])
def test_types_that_are_nearly_right(data: bytes) -> None:
    judge(data)


def test_a_struct_of_parts_that_hold_each_other_many_times_has_an_end() -> None:
    made = Types()
    part = made.struct("", 8, (("x", made.integer("int"), 0),))
    for _ in range(90):
        part = made.struct("", 8, (("", part, 0), ("", part, 0)))
    made.struct("anon_vma", 8, (("", part, 0), ("", part, 0)))
    found = made.btf("anon_vma")
    assert bounded(lambda: found.member("anon_vma", "not_there")) is None
    assert bounded(lambda: found.member("anon_vma", "x")) is not None


def test_a_struct_that_holds_itself_has_an_end() -> None:
    made = Types()
    own = len(made._types) + 1
    made.struct("anon_vma", 8, (("", own, 0), ("", own, 0)))
    with pytest.raises(BtfError):
        bounded(lambda: made.btf("anon_vma").member("anon_vma", "root"))


@tries(100)
@given(data=nearly(test_type_data.vmlinux({".BTF": b"\x9f\xeb", ".symtab": bytes(48), ".strtab": b"\0a\0"})))
def test_a_vmlinux_that_is_nearly_right(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(data)
    bounded(lambda: type_data.read(path), Unusable)


PATCH = b"""diff --git a/mm/rmap.c b/mm/rmap.c
--- a/mm/rmap.c
+++ b/mm/rmap.c
@@ -1,3 +1,3 @@ int anon_vma_fork(struct vm_area_struct *vma)
 {
-	anon_vma_clone(a, b);
+	anon_vma_clone(a, b, c);
 }
"""


@tries(100)
@given(content=nearly(PATCH))
@example(content=PATCH)
@example(content=PATCH + b"@@ -1,99999999999999999999 +1 @@\n" + b"-" * 5000)
def test_a_patch(content: bytes) -> None:
    mainline = next(one for one in profile.built_in() if one.name == "mainline")
    rows = bounded(lambda: patch_names.changed(series.of_bytes(content, "patch").hunks(), mainline), LazyobsError)
    assert rows is None or all(row.what in patch_names.WHAT for row in rows)
