# SPDX-License-Identifier: MIT
"""Where in a css_set the memory controller's cgroup is, from BTF: cgroup v1 gives it a hierarchy of its own."""

from __future__ import annotations

from lazyobs.kernel.btf import Btf

ENUMS = ("cgroup_subsys_id",)
_MEMORY = "memory_cgrp_id"


CONSTANTS = ("HAVE_MEMORY_CGROUP",)
_READ = (("cgroup_subsys_state", "cgroup"), ("cgroup", "root"))


def values(btf: Btf) -> dict[str, int | None]:
    """What CONSTANTS are in this kernel, and the place of the memory controller in the array of a css_set."""
    subsys = btf.member("css_set", "subsys")
    number = btf.enumerators(ENUMS[0]).get(_MEMORY)
    if subsys is None or number is None or any(btf.member(*member) is None for member in _READ):
        return {"HAVE_MEMORY_CGROUP": 0}
    return {"HAVE_MEMORY_CGROUP": 1, "HAVE_css_set_memory": 1, "css_set.memory": subsys.offset + 8 * number}
