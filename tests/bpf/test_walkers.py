# SPDX-License-Identifier: MIT
"""What a walk is for, by its callback."""

from __future__ import annotations

import pytest

from lazyobs.bpf import lazy_design, points
from lazyobs.bpf.blanks import Switch
from lazyobs.kernel.functions import Functions
from lazyobs.kernel.kallsyms import Kallsyms
from lazyobs.kernel.profile import Profile
from lazyobs.model import WALKERS
from tests.kernel.made_btf import Types

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
    found = lazy_design.switches(Types().btf(), Functions(kallsyms, None, Profile("mainline", "")), None)["WALKER_OF"]
    walker = WALKERS.index(CALLBACKS[callback])
    assert found == Switch(0x1000, 1, ((0, walker),), WALKERS.index("other"), moves=True)
