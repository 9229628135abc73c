# SPDX-License-Identifier: MIT
"""Kernel functions that probes call: a number when they are compiled, the function's BTF id when they are loaded.

clang compiles the call of a constant address to a helper call with that number, and the loader turns it into a call of
a kernel function: BCC cannot compile these, and an image has to serve kernels whose ids differ.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from lazyobs.kernel.btf import Btf

CACHE_OF = "bpf_get_kmem_cache"  # 6.13: a992d7a39794 ("mm/bpf: Add bpf_get_kmem_cache() kfunc")
FUNCTIONS = (CACHE_OF,)

_TAG = 0x4C610000  # no helper has such a number; the position in FUNCTIONS is added
_CALL, _KERNEL_FUNCTION = 0x85, 2  # BPF_JMP | BPF_CALL; BPF_PSEUDO_KFUNC_CALL in the source register


def ids(btf: Btf) -> list[int]:
    """The BTF id of each of FUNCTIONS, 0 where this kernel lacks it."""
    found = [btf.function(name) for name in FUNCTIONS]
    return [function.type_id if function is not None else 0 for function in found]


def c_functions(btf: Btf) -> str:
    """HAVE_CACHE_OF, and where it is 1 ``cache_of(address)``: the slab cache of the object there, NULL for none."""
    has = int(ids(btf)[FUNCTIONS.index(CACHE_OF)] > 0)
    call = f"static struct kmem_cache *(*cache_of)(u64 address) = (void *){_TAG + FUNCTIONS.index(CACHE_OF):#x};\n"
    return f"#define HAVE_CACHE_OF {has}\n" + call * has


def fill_in(code: bytearray, btf_ids: Sequence[int]) -> None:
    """Makes the calls in ``code`` those of the kernel functions."""
    for number, btf_id in enumerate(btf_ids):
        wanted = struct.pack("<BBhI", _CALL, 0, 0, _TAG + number)
        at = code.find(wanted)
        while at >= 0:
            if at % 8 == 0:
                struct.pack_into("<BBhI", code, at, _CALL, _KERNEL_FUNCTION << 4, 0, btf_id)
            at = code.find(wanted, at + 1)
