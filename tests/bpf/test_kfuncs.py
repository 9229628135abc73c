# SPDX-License-Identifier: MIT
"""Calls of kernel functions: a helper number in an image, the function's BTF id in a loaded program."""

from __future__ import annotations

import pytest

from lazyobs.bpf import images, kfuncs, plan
from lazyobs.bpf.blanks import HAVE_SWAP
from lazyobs.bpf.image import Image
from lazyobs.bpf.session import Loader, interpreters
from lazyobs.kernel.btf import Btf


def test_a_kernel_without_the_function_has_no_call() -> None:
    """Types of this kernel, read for names that it does not have."""
    assert kfuncs.values(Btf.read(["task_struct"])) == {"bpf_get_kmem_cache": None, "HAVE_CACHE_OF": 0}


def test_both_images_call_it() -> None:
    for path in images.files():
        lock = Image.from_bytes(images.read(path)).programs["lock_wait_begins"]
        assert [blank.name for blank in lock.blanks if blank.kind == "function"] == list(kfuncs.FUNCTIONS)


@pytest.mark.parametrize("gone", [kfuncs.values(Btf.read(["task_struct"])), {HAVE_SWAP: 0}], ids=["function", "swap"])
def test_probes_load_where_the_kernel_lacks_it(bpf: None, gone: dict[str, int | None]) -> None:
    """The other branches pass the verifier. Older kernels refuse the instructions themselves (test_blanks.py)."""
    made = plan.make(plan.gather(), "tracepoint", wanted=("process", "slab", "lock", "census"))
    assert gone.keys() <= made.values.keys()
    made.values.update(gone)
    with Loader(interpreters()[0]).load(made) as session:
        assert session.refused["lock"] == {} and session.tiers["lock"] == "tracepoint"
        assert session.tiers["process"] == session.tiers["slab"] == "tracepoint"
        assert session.tiers["census"] == "iter"
