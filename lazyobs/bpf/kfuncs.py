# SPDX-License-Identifier: MIT
"""Kernel functions that probes call: a number when they are compiled, the function's BTF id when they are loaded.

clang compiles the call of a constant address to a helper call with that number, which is a blank (blanks.py): BCC
cannot compile a call of a kernel function, and an image has to serve kernels whose ids differ, and those that lack it.
"""

from __future__ import annotations

from lazyobs.bpf.blanks import FUNCTION_MARK
from lazyobs.kernel.btf import KIND_STRUCT, Btf

CACHE_OF = "bpf_get_kmem_cache"  # 6.13: a992d7a39794 ("mm/bpf: Add bpf_get_kmem_cache() kfunc")
# 6.2: a35b9af4ec2c ("bpf: Add a kfunc for generic type cast"). The verifier makes a move between two registers of it, and
# what is loaded through its result is 0 where there is no memory: one instruction, where a helper takes fifty.
TYPED = "bpf_rdonly_cast"
# What kernel memory is taken for: a struct that begins with a plain number of eight bytes, on every kernel.
_WORD = "timespec64"
STRUCTS = (_WORD,)
FUNCTIONS = (CACHE_OF, TYPED)
CONSTANTS = ("HAVE_CACHE_OF", "HAVE_TYPED_LOADS", "TYPE_OF_WORD")


def _c_pointer(name: str) -> str:
    return f"{FUNCTION_MARK + FUNCTIONS.index(name):#x}"


# CACHE_OF(address): the slab cache of the object there, NULL for none. Behind "if (HAVE_CACHE_OF)".
# TYPED(address, type): the address, for loads. Behind "if (HAVE_TYPED_LOADS)".
C_FUNCTIONS = f"""static struct kmem_cache *(*CACHE_OF)(u64 address) = (void *){_c_pointer(CACHE_OF)};
static void *(*TYPED)(u64 address, u64 type) = (void *){_c_pointer(TYPED)};
"""


def values(btf: Btf) -> dict[str, int | None]:
    """The BTF id of each of FUNCTIONS, None where this kernel lacks it; and CONSTANTS."""
    found = {name: btf.function(name) for name in FUNCTIONS}
    ids = {name: None if function is None else function.type_id for name, function in found.items()}
    word = btf.type_id(_WORD, KIND_STRUCT)
    return {
        **ids,
        "HAVE_CACHE_OF": int(ids[CACHE_OF] is not None),
        "HAVE_TYPED_LOADS": int(None not in (ids[TYPED], word)),
        "TYPE_OF_WORD": word,
    }
