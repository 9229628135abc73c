# SPDX-License-Identifier: MIT
"""Where faults cannot be followed, the numbers of it are null with the reason."""

from __future__ import annotations

import pytest

from lazyobs.bpf import fault_facts, outlook, structs
from lazyobs.kernel.btf import Btf
from lazyobs.model import COUNTER_NAMES
from lazyobs.sources.why_not import counted_as
from tests.kernel import made_kernel
from tests.kernel.made_btf import Types


def _why(number: str, *without: str) -> str:
    found = outlook.of(made_kernel.types(without=without), b"", "made", None, None)
    return counted_as(number, found, found.facts.profile)[1]


@pytest.mark.parametrize("number", ["cow_copies", "cow_seconds"])
def test_a_copy_needs_the_entry_of_the_page_table(number: str) -> None:
    assert "cow_copies" in COUNTER_NAMES
    assert _why(number) == ""
    assert "BTF has no vm_fault.orig_pte" in _why(number, "vm_fault.orig_pte")
    assert "no do_wp_page" in _why(number, "do_wp_page")


@pytest.mark.parametrize("number", ["first_faults", "first_fault_retries", "first_fault_seconds"])
def test_a_first_fault_needs_its_address(number: str) -> None:
    assert _why(number) == ""
    assert "BTF has no vm_fault.address" in _why(number, "vm_fault.address")
    assert "no do_anonymous_page" in _why(number, "do_anonymous_page")


def test_a_fault_that_holds_its_vma_alone_is_known_where_there_are_such() -> None:
    made = Types()
    made.enum("fault_flag", {"FAULT_FLAG_WRITE": 1, "FAULT_FLAG_VMA_LOCK": 4096})
    assert fault_facts.values(made.btf("fault_flag")) == {"FAULT_FLAG_VMA_LOCK": 4096}
    assert fault_facts.values(Btf(made_kernel.types(), ["fault_flag"])) == {"FAULT_FLAG_VMA_LOCK": 0}


def test_entries_of_other_machines_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    btf = Btf(made_kernel.types(), ["vm_fault", "pt_regs"])
    assert fault_facts.why_not("cow", btf) == ""
    monkeypatch.setattr(structs, "registers", lambda _btf: None)
    assert "x86-64 and arm64" in fault_facts.why_not("cow", btf)
    assert fault_facts.why_not("prepare", btf) == ""
