# SPDX-License-Identifier: MIT
"""Names of addresses: those of the kernel's own text, and no other."""

from __future__ import annotations

from lazyobs.kernel.symbols import Symbols

TEXT = b"""\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000010 T first
ffffffff81000010 T first_alias
ffffffff81000100 t second.isra.0
ffffffff81000400 T _etext
ffffffff82000000 D some_data
ffffffffc0000000 t in_a_module\t[module]
ffffffffc0001000 t bpf_prog_1234_name\t[bpf]
"""


def test_an_address_is_in_the_function_that_begins_before_it():
    symbols = Symbols(TEXT)
    assert symbols.name(0xFFFFFFFF81000103) == "second.isra.0+0x3"
    assert symbols.name(0xFFFFFFFF81000101) == "second.isra.0+0x1"
    assert symbols.name(0xFFFFFFFF810000FF) in ("first+0xef", "first_alias+0xef")


def test_a_return_address_is_of_the_function_that_called():
    """do_exit() never returns: a call of it can be the last instruction of a function."""
    assert Symbols(TEXT).name(0xFFFFFFFF81000100) in ("first+0xf0", "first_alias+0xf0")


def test_what_is_outside_of_the_kernels_text_has_no_name():
    symbols = Symbols(TEXT)
    for address in (0, 1, 0xFFFFFFFF80FFFFFF, 0xFFFFFFFF81000400, 0xFFFFFFFF82000000, 0xFFFFFFFFC0000001, 2**64 - 1):
        assert symbols.name(address) is None, hex(address)


def test_hidden_symbols_are_known_as_such():
    lines = b"".join(b"0" * 16 + line[16:] for line in TEXT.splitlines(keepends=True))
    assert Symbols(lines).hidden and Symbols(b"").hidden and not Symbols(TEXT).hidden
    assert Symbols(lines).name(0xFFFFFFFF81000103) is None
