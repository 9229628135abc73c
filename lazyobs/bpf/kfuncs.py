# SPDX-License-Identifier: MIT
"""Kernel functions that probes call: a number when they are compiled, the function's BTF id when they are loaded.

clang compiles the call of a constant address to a helper call with that number, which is a blank (blanks.py): BCC
cannot compile a call of a kernel function, and an image has to serve kernels whose ids differ, and those that lack it.
"""

from __future__ import annotations

from lazyobs.bpf.blanks import FUNCTION_MARK
from lazyobs.kernel.btf import Btf

CACHE_OF = "bpf_get_kmem_cache"  # 6.13: a992d7a39794 ("mm/bpf: Add bpf_get_kmem_cache() kfunc")
FUNCTIONS = (CACHE_OF,)
CONSTANTS = ("HAVE_CACHE_OF",)

# CACHE_OF(address): the slab cache of the object there, NULL for none. Behind "if (HAVE_CACHE_OF)".
C_FUNCTIONS = f"""static struct kmem_cache *(*CACHE_OF)(u64 address) = (void *){FUNCTION_MARK + FUNCTIONS.index(CACHE_OF):#x};
"""


def values(btf: Btf) -> dict[str, int | None]:
    """The BTF id of each of FUNCTIONS, None where this kernel lacks it; and CONSTANTS."""
    found = {name: btf.function(name) for name in FUNCTIONS}
    ids = {name: None if function is None else function.type_id for name, function in found.items()}
    return {**ids, "HAVE_CACHE_OF": int(ids[CACHE_OF] is not None)}
