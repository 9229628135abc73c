# SPDX-License-Identifier: MIT
"""Where in a css_set the memory controller's cgroup is, from BTF: cgroup v1 gives it a hierarchy of its own."""

from __future__ import annotations

from lazyobs.bpf.structs import Wanted
from lazyobs.kernel.btf import Btf

ENUMS = ("cgroup_subsys_id",)
_MEMORY = "memory_cgrp_id"


def wanted_members(btf: Btf) -> dict[str, tuple[Wanted, ...]]:
    """The array of controllers, whose length depends on the kernel's configuration; none without a memory controller."""
    subsys = btf.member("css_set", "subsys")
    if subsys is None or _MEMORY not in btf.enumerators(ENUMS[0]):
        return {}
    return {"css_set": (Wanted("subsys", f"u64[{subsys.size // 8}]"),)}


def c_facts(btf: Btf) -> str:
    """HAVE_MEMORY_CGROUP, and the index as C."""
    members = (("cgroup_subsys_state", "cgroup"), ("cgroup", "root"))
    if not wanted_members(btf) or any(btf.member(*member) is None for member in members):
        return "#define HAVE_MEMORY_CGROUP 0\n"
    return f"#define HAVE_MEMORY_CGROUP 1\n#define MEMORY_CGROUP {btf.enumerators(ENUMS[0])[_MEMORY]}\n"
