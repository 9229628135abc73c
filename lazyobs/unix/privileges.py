# SPDX-License-Identifier: MIT
"""Giving up root for good: another user, no groups, no capabilities.

By then the process holds as descriptors what it needs later. It becomes the system user ``lazyobs`` where there is one,
or else ``nobody``; not the user behind sudo: other processes of that user could trace it and take its descriptors. (The
kernel clears the dumpable flag when the user changes, which keeps tracers out.) Other processes of ``nobody`` can still
stop or kill it, or take its limits away (prlimit(2)): a service wants a user of its own.

Where it may not become that user (no CAP_SETUID, or a user namespace without that user) it keeps its own, and gives up
the capabilities all the same.
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
from lazyobs.unix import namespaces
from lazyobs.unix.capabilities import CAP_BPF, CAP_SETGID, CAP_SETPCAP, CAP_SETUID, VERSION_3, effective, why_not_bpf

NOBODY = 65534
OWN_NAME = "lazyobs"
_FIRST_PERSON = 1000  # UID_MIN of login.defs(5): system users are below

_PR_CAPBSET_DROP, _PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE = 24, 8, 38, 4
_MOST_CAPABILITIES = 64
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
        raise UsageError(f"--user {name}", why, "name a system user of its own (lazyobs help fleet)")
    if entry is None or not (name or 0 < entry.pw_uid < _FIRST_PERSON):
        return Account("nobody", NOBODY, NOBODY)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def may_load_bpf() -> bool:
    """Whether this process may try to load probes (unix/capabilities.py)."""
    return not why_not_bpf()


def why_not_nobody(user: str = "") -> str:
    """Why this process, if it is root, cannot become ``account(user)``; "" where it can, or is not root."""
    if os.geteuid() != 0:
        return ""
    if not effective() >> CAP_SETUID & 1:
        return "CAP_SETUID is missing"
    uid = account(user).uid
    return "" if namespaces.is_mapped(uid) else f"this user namespace has no user {uid}"


def give_up_root(
    keep: frozenset[int] = frozenset(), works_without: Callable[[], None] | None = None, user: str = ""
) -> frozenset[int]:
    """Becomes ``account(user)`` for good, and keeps only the capabilities in ``keep``.

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
            _become(account(user), held)
        hide_memory()
        kept = frozenset(wanted & keep)
        _set_capabilities(kept, frozenset(wanted))
        if CAP_BPF in wanted and works_without is not None and not _works(works_without):
            kept |= {CAP_BPF}
        _set_capabilities(kept, kept)
    no_new_privileges()
    return kept


def _become(who: Account, held: int) -> None:
    """As far as ``held`` permits: without CAP_SETGID the groups stay, without CAP_SETUID the user.

    OSError where it is permitted and fails, but for the groups of a user namespace, which may forbid to change them.
    """
    _prctl(_PR_SET_KEEPCAPS, 1)
    if held >> CAP_SETGID & 1:
        try:
            os.setgroups([])
            os.setresgid(who.gid, who.gid, who.gid)
        except OSError:
            if namespaces.is_initial("user"):
                raise
    if held >> CAP_SETUID & 1 and namespaces.is_mapped(who.uid):
        os.setresuid(who.uid, who.uid, who.uid)


def no_new_privileges() -> None:
    """From now on no program that this process executes gains privileges."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def hide_memory() -> None:
    """No other process of the user may read this one's memory or trace it, and it leaves no core."""
    _prctl(_PR_SET_DUMPABLE, 0)


def keep_nothing() -> None:
    """Gives up every capability, also those that ``give_up_root`` kept."""
    keep_capabilities(frozenset())


def keep_capabilities(capabilities: frozenset[int]) -> None:
    """Gives up all others, in this thread."""
    held = effective()
    kept = frozenset(capability for capability in capabilities if held >> capability & 1)
    _set_capabilities(kept, kept)


def keep_only(capabilities: frozenset[int]) -> None:
    """Keeps the user, and of its effective capabilities only these."""
    _drop_bounding_set(effective())
    keep_capabilities(capabilities)
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
