# SPDX-License-Identifier: MIT
"""Which tiers this kernel allows: for each, one small program is loaded and closed, for fentry attached, too.

arm64 before 6.4 loads fentry programs and has no way to attach them: what is missing are direct calls of ftrace
(2aa6ac03516d, "arm64: ftrace: Add direct call support", 6.4). This comes before the compile, so that no program is compiled that the kernel would refuse.
"""

from __future__ import annotations

import os

from lazyobs.bpf import abi
from lazyobs.kernel import restrictions
from lazyobs.kernel.btf import Btf
from lazyobs.kernel.profile import Profile
from lazyobs.unix.syscalls import reason

_COMPARE_AND_SWAP = (
    abi.INSTRUCTION.pack(0x7A, 10, -8, 0)  # *(u64 *)(r10 - 8) = 0
    + abi.INSTRUCTION.pack(0xB7, 0, 0, 0)
    + abi.INSTRUCTION.pack(0xB7, 2, 0, 0)
    + abi.INSTRUCTION.pack(0xDB, 2 << 4 | 10, -8, 0xF1)  # r0 = cmpxchg_64(r10 - 8, r0, r2)
)
# Present in every kernel with anonymous memory.
_FUNCTION = "__anon_vma_prepare"
_ATTACHING = "attaching an fentry program"


def trial_function(btf: Btf | None, profile: Profile) -> int:
    """Id in BTF of a function to try fentry on; 0 where there is none."""
    found = (btf.function(name) for name in profile.names(_FUNCTION)) if btf is not None else ()
    return next((function.type_id for function in found if function is not None), 0)


def refused_again(type_id: int, before: dict[str, str]) -> dict[str, str]:
    """``refused_tiers`` for a kernel of which they are known from ``before``.

    Who may load programs can have changed since. Whether those that load also attach is the kernel's own, and is tried
    again only where it was the reason: attaching patches the kernel's text, which takes time.
    """
    return refused_tiers(type_id, attach=before.get("fentry", "").startswith(_ATTACHING))


def refused_tiers(type_id: int, attach: bool = True) -> dict[str, str]:
    """{tier: why} of the function tiers that the kernel refuses now; ``type_id`` is the function to try."""
    refused = {}
    if not type_id:
        refused["fentry"] = f"no prototype of {_FUNCTION} in BTF"
    else:
        why = _try_fentry(type_id, attach)
        if why:
            refused["fentry"] = why
    if not restrictions.has_kprobe_events():
        refused["kprobe"] = "the kernel has no kprobe perf events (CONFIG_KPROBE_EVENTS)"
    else:
        why = _load(abi.PROG_TYPE_KPROBE, 0, 0)
        if why:
            refused["kprobe"] = f"loading a kprobe program: {why}"
    return refused


def has_compare_and_swap() -> bool:
    """Whether programs have BPF_CMPXCHG: 5.12, on arm64 5.18."""
    return not _load(abi.PROG_TYPE_RAW_TRACEPOINT, 0, 0, _COMPARE_AND_SWAP + abi.RETURN_0)


def _try_fentry(type_id: int, attach: bool) -> str:
    fd, _ = abi.prog_load(abi.PROG_TYPE_TRACING, abi.RETURN_0, "lazyobs_trial", abi.ATTACH_TRACE_FENTRY, type_id)
    if fd < 0:
        return f"loading an fentry program: {reason(-fd)}"
    try:
        if attach:
            os.close(abi.raw_tracepoint_open(fd))
    except OSError as error:
        return f"{_ATTACHING}: {error.strerror}"
    finally:
        os.close(fd)
    return ""


def _load(prog_type: int, attach_type: int, btf_id: int, code: bytes = abi.RETURN_0) -> str:
    fd, _ = abi.prog_load(prog_type, code, "lazyobs_trial", attach_type, btf_id)
    if fd < 0:
        return reason(-fd)
    os.close(fd)
    return ""
