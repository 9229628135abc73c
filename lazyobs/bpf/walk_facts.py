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


CONSTANTS = ("WALKS_ARE_JUDGED", "PG_LOCKED", "PG_HEAD", "TTU_SYNC")


def values(btf: Btf) -> dict[str, int | None]:
    """What CONSTANTS are in this kernel."""
    flags, ttu = btf.enumerators("pageflags"), btf.enumerators("ttu_flags")
    return {
        "WALKS_ARE_JUDGED": int(not why_not(btf)),
        "PG_LOCKED": flags.get("PG_locked"),
        "PG_HEAD": flags.get("PG_head"),
        "TTU_SYNC": ttu.get("TTU_SYNC"),
    }
