# SPDX-License-Identifier: MIT
"""What a promotion's reason means: the enumerators of each series, as ours."""

from __future__ import annotations

import re

import pytest

from lazyobs.bpf import lazy_design
from lazyobs.kernel.profile import Profile
from tests.kernel.made_btf import Types

PROMOTE = "vma_upgrade_anon_vma_lazy"


def meanings(enum: str, values: dict[str, int]) -> dict[int, str]:
    """{value: our reason} of REASON_OF() on a kernel with that enum; the others are REASON_OTHER."""
    made = Types()
    vma = made.pointer(made.struct("vm_area_struct", 176))
    made.function(PROMOTE, [("vma", vma), ("reason", made.enum(enum, values))], made.integer("int"))
    btf = made.btf(PROMOTE, enum)
    text = lazy_design.c_design(Profile("p", ""), btf, None, btf.function(PROMOTE))
    (line,) = [line for line in text.splitlines() if line.startswith("#define REASON_OF(")]
    assert line.endswith("REASON_OTHER)")
    return {int(value): word.lower() for value, word in re.findall(r"\(reason\) == (\d+) \? REASON_(\w+) :", line)}


def test_the_kernel_s_own_operations_are_understood() -> None:
    """enum vma_operation, which 7.x has, and which the series for 7.3 passes on."""
    operations = {"VMA_OP_SPLIT": 0, "VMA_OP_MERGE_UNFAULTED": 1, "VMA_OP_REMAP": 2, "VMA_OP_FORK": 3}
    assert meanings("vma_operation", operations) == {0: "split", 1: "merge", 2: "mremap", 3: "fork"}


@pytest.mark.parametrize("value", [0, 5])
def test_the_reasons_of_the_series_on_6_12(value: int) -> None:
    reasons = {"ANON_VMA_LAZY_MREMAP": value, "ANON_VMA_LAZY_KSM": 7, "ANON_VMA_LAZY_UNHEARD": 8}
    assert meanings("anon_vma_lazy_reason", reasons) == {value: "mremap", 7: "ksm"}
