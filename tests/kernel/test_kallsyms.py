# SPDX-License-Identifier: MIT
"""Symbols: ranges, compiler-made parts, aliases, hidden addresses."""

from __future__ import annotations

from lazyobs.kernel import facts
from lazyobs.kernel.kallsyms import Kallsyms

TEXT = b"""\
ffffffff81000000 t __pfx_first
ffffffff81000010 T first
ffffffff81000010 T first_alias
ffffffff81000100 t second.isra.0
ffffffff81000180 t second.cold
ffffffff81000200 t twice
ffffffff81000300 t twice
ffffffff81000310 t first.llvm.123
ffffffff81000320 T first_longer
ffffffff81000400 T last
ffffffffc0000000 t in_a_module\t[module]
"""
NAMES = ["first", "second", "twice", "last", "in_a_module"]


def test_a_function_ends_where_the_next_address_begins():
    first = Kallsyms(TEXT, NAMES).plain("first")
    assert [(symbol.start, symbol.end) for symbol in first] == [(0xFFFFFFFF81000010, 0xFFFFFFFF81000100)]


def test_compiler_made_parts_come_under_the_plain_name_and_keep_no_arguments():
    kallsyms = Kallsyms(TEXT, NAMES)
    assert [symbol.name for symbol in kallsyms.parts("second")] == ["second.cold", "second.isra.0"]
    assert kallsyms.plain("second") == []
    assert [symbol.is_cold for symbol in kallsyms.parts("second")] == [True, False]
    assert not any(symbol.keeps_arguments for symbol in kallsyms.parts("second"))
    assert [symbol.name for symbol in kallsyms.parts("first")] == ["first", "first.llvm.123"]


def test_two_functions_of_one_name_are_both_seen():
    assert len(Kallsyms(TEXT, NAMES).plain("twice")) == 2


def test_a_longer_name_is_another_function():
    assert len(Kallsyms(TEXT, NAMES).plain("first")) == 1


def test_module_functions_are_not_the_kernels():
    assert Kallsyms(TEXT, NAMES).parts("in_a_module") == []


def test_hidden_addresses_are_noticed():
    hidden = Kallsyms(b"0000000000000000 T first\n", NAMES)
    assert hidden.hidden and hidden.parts("first") == []


def test_this_kernels_rmap_functions_have_sane_ranges():
    kallsyms = Kallsyms.read(["anon_vma_clone", "__anon_vma_prepare"])
    for name in ("anon_vma_clone", "__anon_vma_prepare"):
        for symbol in kallsyms.plain(name):
            assert 16 < symbol.end - symbol.start < 1 << 16


def test_a_stub_is_no_symbol_table(tmp_path):
    """Debian's System.map is one line; what was planned from it counted nothing, and zeros are no answer."""
    (tmp_path / "kallsyms").write_text(
        "ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n"
    )
    kallsyms, why = facts.read_kallsyms(["__anon_vma_prepare"], str(tmp_path))
    assert kallsyms is None and "only a stub" in why
    (tmp_path / "kallsyms").write_text("ffffffff81000010 T __anon_vma_prepare\n")
    kallsyms, why = facts.read_kallsyms(["__anon_vma_prepare"], str(tmp_path))
    assert kallsyms is not None and why == ""
