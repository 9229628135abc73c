# SPDX-License-Identifier: MIT
"""Giving up root for good: another user, no groups, no capabilities.

By then the process holds as descriptors what it needs later. It becomes the system user ``lazyobs`` where there is one,
or else ``nobody``; not the user behind sudo: other processes of that user could trace it and take its descriptors. (The
kernel clears the dumpable flag when the user changes, which keeps tracers out.) Other processes of ``nobody`` can still
stop or kill it, or take its limits away (prlimit(2)): a service wants a user of its own.
"""

from __future__ import annotations

import ctypes
import functools
import os
import pwd
import struct
from collections.abc import Callable
from dataclasses import dataclass

from lazyobs.errors import UsageError

NOBODY = 65534
OWN_NAME = "lazyobs"
_FIRST_PERSON = 1000  # UID_MIN of login.defs(5): system users are below
CAP_SETPCAP, CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 8, 19, 21, 38, 39
CAP_DAC_READ_SEARCH, CAP_KILL = 2, 5

_PR_CAPBSET_DROP, _PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE = 24, 8, 38, 4
_CAPABILITY_VERSION_3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Account:
    """A user to become, with its own group."""

    name: str
    uid: int
    gid: int

    @property
    def is_shared(self) -> bool:
        """Whether other services run as the same user."""
        return self.uid == NOBODY


@functools.cache
def account(name: str = "") -> Account:
    """The user of that name; without one the system user ``lazyobs``, or else ``nobody``. UsageError if there is no
    such user, or it is root."""
    try:
        entry = pwd.getpwnam(name or OWN_NAME)
    except (KeyError, ValueError):
        entry = None
    if name and (entry is None or entry.pw_uid == 0):
        why = "there is no such user" if entry is None else "is root: it would keep what is to be given up"
        raise UsageError(f"--user {name}", why, "name a system user of its own (docs/fleet.md)")
    if entry is None or not (name or 0 < entry.pw_uid < _FIRST_PERSON):
        return Account("nobody", NOBODY, NOBODY)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def effective() -> int:
    """The effective capabilities, as a bit mask."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("CapEff:"):
                return int(line.split()[1], 16)
    return 0


def may_load_bpf() -> bool:
    """Loading tracing programs takes CAP_BPF and CAP_PERFMON (5.8), or CAP_SYS_ADMIN."""
    held = effective()
    return bool(held >> CAP_SYS_ADMIN & 1) or bool(held >> CAP_BPF & 1 and held >> CAP_PERFMON & 1)


def give_up_root(
    keep: frozenset[int] = frozenset(), works_without: Callable[[], None] | None = None, user: str = ""
) -> frozenset[int]:
    """Becomes ``account(user)`` for good, and keeps only the capabilities in ``keep``.

    ``works_without`` is tried without CAP_BPF first. Where it raises OSError (before 5.19 bpf(2) may be closed to the
    unprivileged even for a descriptor they hold) CAP_BPF is kept too. Returns what is kept. Not root: only
    no_new_privs is set.
    """
    if os.geteuid() == 0:
        held, who = effective(), account(user)
        wanted = {cap for cap in keep | {CAP_BPF} if held >> cap & 1}
        _drop_bounding_set(held)
        _prctl(_PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setresgid(who.gid, who.gid, who.gid)
        os.setresuid(who.uid, who.uid, who.uid)
        _prctl(_PR_SET_DUMPABLE, 0)
        kept = frozenset(wanted & keep)
        _set_capabilities(kept, frozenset(wanted))
        if CAP_BPF in wanted and works_without is not None and not _works(works_without):
            kept |= {CAP_BPF}
        _set_capabilities(kept, kept)
    else:
        kept = frozenset()
    no_new_privileges()
    return kept


def no_new_privileges() -> None:
    """From now on no program that this process executes gains privileges."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def keep_nothing() -> None:
    """Gives up every capability, also those that ``give_up_root`` kept."""
    _set_capabilities(frozenset(), frozenset())


def keep_capabilities(capabilities: frozenset[int]) -> None:
    """Gives up all others, in this thread."""
    held = effective()
    kept = frozenset(capability for capability in capabilities if held >> capability & 1)
    _set_capabilities(kept, kept)


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
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        last = int(file.read())
    for capability in range(last + 1):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _set_capabilities(effective_set: frozenset[int], permitted: frozenset[int]) -> None:
    def words(capabilities: frozenset[int]) -> tuple[int, int]:
        bits = sum(1 << capability for capability in capabilities)
        return bits & 0xFFFFFFFF, bits >> 32

    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    (e_low, e_high), (p_low, p_high) = words(effective_set), words(permitted)
    data = struct.pack("=6I", e_low, p_low, 0, e_high, p_high, 0)
    if _libc.capset(header, data) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
