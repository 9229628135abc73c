# SPDX-License-Identifier: MIT
"""Calls of kernel functions: a helper number in an image, the function's BTF id in a loaded program."""

from __future__ import annotations

from lazyobs.bpf import abi, kfuncs
from lazyobs.kernel.btf import Btf

_CALL = 0x85
_TAG = 0x4C610000


def _instructions(code: bytes) -> list[tuple[int, ...]]:
    return list(abi.INSTRUCTION.iter_unpack(code))


def test_the_calls_alone_are_filled_in():
    helper = abi.INSTRUCTION.pack(_CALL, 0, 0, 113)
    call = abi.INSTRUCTION.pack(_CALL, 0, 0, _TAG)
    # The same bytes across two instructions are no call.
    across = call[4:] + call[:4]
    code = bytearray(helper + call + across + abi.RETURN_0 + call)
    kfuncs.fill_in(code, [64012])
    found = _instructions(bytes(code))
    assert found[0] == (_CALL, 0, 0, 113)
    assert found[1] == found[-1] == (_CALL, 2 << 4, 0, 64012)
    assert bytes(code[16:24]) == across and bytes(code[24:40]) == abi.RETURN_0


def test_a_kernel_without_the_function_has_no_call():
    """Types of this kernel, read for names that it does not have."""
    here = Btf.read(["task_struct"])
    assert kfuncs.ids(here) == [0]
    assert kfuncs.c_functions(here) == "#define HAVE_CACHE_OF 0\n"
