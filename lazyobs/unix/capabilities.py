# SPDX-License-Identifier: MIT
"""The capabilities that lazyobs uses: what each is for, whether the probes need it, and which this process lacks."""

from __future__ import annotations

import ctypes
import struct
from typing import NamedTuple

from lazyobs.unix import namespaces

# Numbers are those of include/uapi/linux/capability.h.
CAP_CHOWN, CAP_DAC_READ_SEARCH, CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP = 0, 2, 5, 6, 7, 8
CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_SYSLOG, CAP_PERFMON, CAP_BPF = 19, 21, 34, 38, 39
VERSION_3 = 0x20080522  # of capget(2) and capset(2)

_libc = ctypes.CDLL(None, use_errno=True)


class Capability(NamedTuple):
    """``needed``: without it there are no probes. ``why``: what it is for, as a verb."""

    name: str
    number: int
    needed: bool
    why: str


CAPABILITIES = (
    Capability("CAP_BPF", CAP_BPF, True, "load the probes"),
    Capability("CAP_PERFMON", CAP_PERFMON, True, "attach them, and let them read kernel memory"),
    Capability("CAP_SYSLOG", CAP_SYSLOG, True, "see addresses in /proc/kallsyms; read the kernel log"),
    Capability("CAP_SETUID", CAP_SETUID, False, "become the user nobody, or lazyobs, afterwards"),
    Capability("CAP_SETGID", CAP_SETGID, False, "give up the groups afterwards"),
    Capability("CAP_SETPCAP", CAP_SETPCAP, False, "empty the bounding set afterwards"),
    Capability("CAP_CHOWN", CAP_CHOWN, False, "give a recording's directory to that user (record)"),
    Capability("CAP_KILL", CAP_KILL, False, "end the command of record when the recorder dies"),
    Capability("CAP_SYS_PTRACE", CAP_SYS_PTRACE, False, "read other users' processes at tier procfs"),
)
# CAP_SYS_ADMIN includes these (bpf_capable() and perfmon_capable() in include/linux/capability.h), but not CAP_SYSLOG.
_IN_SYS_ADMIN = ("CAP_BPF", "CAP_PERFMON")


def effective() -> int:
    """The effective capabilities, as a bit mask (capget(2): /proc may be hidden)."""
    data = ctypes.create_string_buffer(24)
    if _libc.capget(struct.pack("=Ii", VERSION_3, 0), data) != 0:
        return 0
    low, _, _, high, _, _ = struct.unpack("=6I", data.raw)
    return int(low | high << 32)


def lacking(held: int, needed: bool) -> list[str]:
    """Names of the needed, or of the optional, capabilities that the bit mask ``held`` lacks."""
    found = []
    for capability in CAPABILITIES:
        has = held >> capability.number & 1 or (capability.name in _IN_SYS_ADMIN and held >> CAP_SYS_ADMIN & 1)
        if capability.needed == needed and not has:
            found.append(capability.name)
    return found


def listed(names: list[str]) -> str:
    """``CAP_BPF, CAP_PERFMON and CAP_SYSLOG``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def needs() -> str:
    """What the probes need, in one line; the optional capabilities are those to become nobody."""
    needed = [capability.name for capability in CAPABILITIES if capability.needed]
    return f"needs root, or {listed(needed)} (optional: CAP_SETUID and CAP_SETGID, to become nobody afterwards)"


def why_not_bpf(held: int | None = None) -> str:
    """Why this process cannot load the probes, as far as its permissions show; "" where it may try.

    Loading tracing programs takes CAP_BPF and CAP_PERFMON (5.8), or CAP_SYS_ADMIN, of the initial user namespace.
    Whether the kernel shows its addresses depends on sysctls too: that is tried, not asked here.
    """
    held = effective() if held is None else held
    missing = [name for name in _IN_SYS_ADMIN if name in lacking(held, needed=True)]
    if missing:
        return needs() + (f"; {listed(missing)} {'are' if len(missing) > 1 else 'is'} missing" if held else "")
    if not namespaces.is_initial("user"):
        return "needs root of the initial user namespace: capabilities of this one do not permit BPF"
    return ""
