# SPDX-License-Identifier: MIT
"""What a walk is for, by its callback."""

from __future__ import annotations

import re

import pytest

from lazyobs.bpf import lazy_design, points
from lazyobs.bpf.addresses import Addresses
from lazyobs.kernel.functions import Functions
from lazyobs.kernel.kallsyms import Kallsyms
from lazyobs.kernel.profile import Profile
from lazyobs.model import WALKERS

# The callbacks (rmap_one) of mm/ in 6.1, 6.12 and 7.3, and what they walk for.
CALLBACKS = {
    "try_to_unmap_one": "unmap",
    "try_to_unmap_poisoned_hugetlb_one": "unmap",
    "try_to_migrate_one": "migrate",
    "remove_migration_pte": "remove_migration",
    "folio_referenced_one": "referenced",
    "page_idle_clear_pte_refs_one": "idle",
    "damon_folio_young_one": "damon",
    "page_mkclean_one": "other",
}


@pytest.mark.parametrize("callback", CALLBACKS)
def test_the_walker_of_a_callback(callback: str) -> None:
    kallsyms = Kallsyms(f"1000 t {callback}\n2000 t end\n".encode(), points.CALLBACKS)
    text = lazy_design.c_walkers(Functions(kallsyms, None, Profile("mainline", "")), Addresses())
    walker = CALLBACKS[callback]
    assert walker in WALKERS
    assert re.findall(r"== ADDRESS\(0\) \? (\w+)", text) == [f"WALKER_{walker.upper()}"]
    assert text.endswith(": WALKER_OTHER)\n")
