# SPDX-License-Identifier: MIT
"""What a promotion's reason means: the enumerators of a series, as ours."""

from __future__ import annotations

import pytest

from lazyobs.bpf import lazy_design
from lazyobs.kernel.functions import Functions
from lazyobs.kernel.kallsyms import Kallsyms
from lazyobs.kernel.profile import Profile
from lazyobs.model import REASONS
from tests.bpf.switches import looked_up
from tests.kernel.made_btf import Types

PROMOTE = "vma_upgrade_anon_vma_lazy"


def meanings(enum: str, values: dict[str, int]) -> dict[int, str]:
    """{value: our reason} of REASON_OF() on a kernel with that enum; the others are other."""
    made = Types()
    vma = made.pointer(made.struct("vm_area_struct", 176))
    made.function(PROMOTE, [("vma", vma), ("reason", made.enum(enum, values))], made.integer("int"))
    btf = made.btf(PROMOTE, enum)
    functions = Functions(Kallsyms(b"", ()), btf, Profile("p", ""))
    table = lazy_design.switches(btf, functions, btf.function(PROMOTE))["REASON_OF"]
    assert not table.moves and table.default == REASONS.index("other")
    values_around = range(table.base - 1, table.base + table.span + 1)
    reasons = {value: looked_up(table, value) for value in values_around}
    return {value: REASONS[reason] for value, reason in reasons.items() if reason != table.default}


def test_the_kernel_s_own_operations_are_understood() -> None:
    """enum vma_operation, which 7.x has, and which the lab's series passes on."""
    operations = {"VMA_OP_SPLIT": 0, "VMA_OP_MERGE_UNFAULTED": 1, "VMA_OP_REMAP": 2, "VMA_OP_FORK": 3}
    assert meanings("vma_operation", operations) == {0: "split", 1: "merge", 2: "mremap", 3: "fork"}


@pytest.mark.parametrize("value", [0, 5])
def test_an_enum_of_the_series_own_is_understood(value: int) -> None:
    reasons = {"ANON_VMA_LAZY_MREMAP": value, "ANON_VMA_LAZY_KSM": 7, "ANON_VMA_LAZY_UNHEARD": 8}
    assert meanings("anon_vma_lazy_reason", reasons) == {value: "mremap", 7: "ksm"}
