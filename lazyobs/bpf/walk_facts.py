# SPDX-License-Identifier: MIT
"""What has to be known of a kernel to judge its reverse-map walks: flags and counts of a folio, from BTF."""

from __future__ import annotations

from lazyobs.kernel.btf import Btf

ENUMS = ("pageflags", "ttu_flags")


def why_not(btf: Btf) -> str:
    """What is missing, "" where walks can be judged."""
    flags, ttu = btf.enumerators("pageflags"), btf.enumerators("ttu_flags")
    missing = [name for name in ("PG_locked", "PG_head") if name not in flags]
    missing += [name for name in ("TTU_SYNC",) if name not in ttu]
    if btf.member("folio", "_mapcount.counter") is None:
        missing.append("folio._mapcount")
    return f"this kernel's BTF has no {', '.join(missing)}" if missing else ""


def c_facts(btf: Btf) -> str:
    """WALKS_ARE_JUDGED and the flags' values as C."""
    if why_not(btf):
        return "#define WALKS_ARE_JUDGED 0\n"
    flags, ttu = btf.enumerators("pageflags"), btf.enumerators("ttu_flags")
    lines = [
        "#define WALKS_ARE_JUDGED 1",
        f"#define PG_LOCKED {flags['PG_locked']}",
        f"#define PG_HEAD {flags['PG_head']}",
    ]
    return "\n".join([*lines, f"#define TTU_SYNC {ttu['TTU_SYNC']:#x}"]) + "\n"
