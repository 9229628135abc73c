# SPDX-License-Identifier: MIT
"""Giving up root for good: user ``nobody``, no groups, no capabilities.

By then the process holds as descriptors what it needs later. It becomes ``nobody``, not the user behind sudo: other
processes of that user could trace it and take its descriptors. (The kernel clears the dumpable flag when the user
changes, which keeps out other processes of ``nobody``.)

Where it may not become ``nobody`` (no CAP_SETUID, or a user namespace without that user) it keeps its user, and gives up
the capabilities all the same.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable

from lazyobs.unix import namespaces
from lazyobs.unix.capabilities import CAP_BPF, CAP_SETGID, CAP_SETPCAP, CAP_SETUID, VERSION_3, effective, why_not_bpf

NOBODY = 65534

_PR_CAPBSET_DROP, _PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE = 24, 8, 38, 4
_MOST_CAPABILITIES = 64
_libc = ctypes.CDLL(None, use_errno=True)


def may_load_bpf() -> bool:
    """Whether this process may try to load probes (unix/capabilities.py)."""
    return not why_not_bpf()


def why_not_nobody() -> str:
    """Why this process, if it is root, cannot become ``nobody``; "" where it can, or is not root."""
    if os.geteuid() != 0:
        return ""
    if not effective() >> CAP_SETUID & 1:
        return "CAP_SETUID is missing"
    return "" if _is_mapped(NOBODY) else f"this user namespace has no user {NOBODY}"


def _is_mapped(uid: int) -> bool:
    """Whether this user namespace has that user; True where that cannot be read."""
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:
            rows = [[int(word) for word in line.split()] for line in file]
    except OSError:
        return True
    return any(first <= uid < first + count for first, _outside, count in rows)


def give_up_root(keep: frozenset[int] = frozenset(), works_without: Callable[[], None] | None = None) -> frozenset[int]:
    """Becomes user ``nobody`` for good, and keeps only the capabilities in ``keep``.

    ``works_without`` is tried without CAP_BPF first. Where it raises OSError (before 5.19 bpf(2) may be closed to the
    unprivileged even for a descriptor they hold) CAP_BPF is kept too. Returns what is kept. A user other than root
    stays that user, without capabilities.
    """
    held = effective()
    kept: frozenset[int] = frozenset()
    if held or os.geteuid() == 0:
        wanted = {cap for cap in keep | {CAP_BPF} if held >> cap & 1}
        _drop_bounding_set(held)
        if os.geteuid() == 0:
            _become_nobody(held)
        _prctl(_PR_SET_DUMPABLE, 0)
        kept = frozenset(wanted & keep)
        _set_capabilities(kept, frozenset(wanted))
        if CAP_BPF in wanted and works_without is not None and not _works(works_without):
            kept |= {CAP_BPF}
        _set_capabilities(kept, kept)
    no_new_privileges()
    return kept


def _become_nobody(held: int) -> None:
    """As far as ``held`` permits: without CAP_SETGID the groups stay, without CAP_SETUID the user.

    OSError where it is permitted and fails, but for the groups of a user namespace, which may forbid to change them.
    """
    _prctl(_PR_SET_KEEPCAPS, 1)
    if held >> CAP_SETGID & 1:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
        except OSError:
            if namespaces.is_initial("user"):
                raise
    if not why_not_nobody():
        os.setresuid(NOBODY, NOBODY, NOBODY)


def no_new_privileges() -> None:
    """From now on no program that this process executes gains privileges."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def keep_nothing() -> None:
    """Gives up every capability, also those that ``give_up_root`` kept."""
    _set_capabilities(frozenset(), frozenset())


def keep_only(capabilities: frozenset[int]) -> None:
    """Keeps the user, and of its effective capabilities only these."""
    held = effective()
    kept = frozenset(capability for capability in capabilities if held >> capability & 1)
    _drop_bounding_set(held)
    _set_capabilities(kept, kept)
    no_new_privileges()


def _works(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _drop_bounding_set(held: int) -> None:
    if not held >> CAP_SETPCAP & 1:
        return
    # EINVAL for a number above the kernel's last; /proc/sys/kernel/cap_last_cap may be hidden.
    for capability in range(_MOST_CAPABILITIES):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _set_capabilities(effective_set: frozenset[int], permitted: frozenset[int]) -> None:
    def words(capabilities: frozenset[int]) -> tuple[int, int]:
        bits = sum(1 << capability for capability in capabilities)
        return bits & 0xFFFFFFFF, bits >> 32

    header = struct.pack("=Ii", VERSION_3, 0)
    (e_low, e_high), (p_low, p_high) = words(effective_set), words(permitted)
    data = struct.pack("=6I", e_low, p_low, 0, e_high, p_high, 0)
    if _libc.capset(header, data) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
