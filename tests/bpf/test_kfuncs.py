# SPDX-License-Identifier: MIT
"""Calls of kernel functions: a helper number in an image, the function's BTF id in a loaded program."""

from __future__ import annotations

import pytest

from lazyobs.bpf import census, images, kfuncs, maps, plan
from lazyobs.bpf.blanks import HAVE_SWAP
from lazyobs.bpf.image import Image
from lazyobs.bpf.session import Loader, interpreters
from lazyobs.kernel.btf import Btf
from tests.harness import skip


def test_a_kernel_without_the_function_has_no_call() -> None:
    """Types of this kernel, read for names that it does not have."""
    assert kfuncs.values(Btf.read(["task_struct"])) == {
        "bpf_get_kmem_cache": None,
        "HAVE_CACHE_OF": 0,
        "bpf_rdonly_cast": None,
        "HAVE_TYPED_LOADS": 0,
        "TYPE_OF_WORD": None,
    }


def test_both_images_call_them() -> None:
    for path in images.files():
        lock = Image.from_bytes(images.read(path)).programs["lock_wait_begins"]
        assert {blank.name for blank in lock.blanks if blank.kind == "function"} == set(kfuncs.FUNCTIONS)


def test_what_is_taken_for_a_word_begins_with_one() -> None:
    place = Btf.read(list(kfuncs.STRUCTS)).member(kfuncs.STRUCTS[0], "tv_sec")
    assert place is not None and (place.offset, place.size) == (0, 8)


def test_a_typed_load_reads_what_the_helper_reads(bpf: None) -> None:
    """Of every process that is the same in three censuses, of which the middle one is read the other way."""
    facts = plan.gather()
    found = []
    for typed in (1, 0, 1):
        made = plan.make(facts, "tracepoint", wanted=("census",))
        if not made.values["HAVE_TYPED_LOADS"]:
            skip("kernel", "it has no bpf_rdonly_cast (6.2)")
        made.values["HAVE_TYPED_LOADS"] = typed
        with Loader(interpreters()[0]).load(made) as session:
            rows = census.CensusRows().read(maps.read_iterator(session.links["census:task_vma"]))
            found.append({(row.tgid, row.start_boottime): row for row in rows})
    first, other, last = found
    quiet = [identity for identity in first if first[identity] == last.get(identity)]
    assert len(quiet) >= 3
    assert any(first[identity].chains_held for identity in quiet)
    assert {identity: first[identity] for identity in quiet} == {identity: other.get(identity) for identity in quiet}


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
