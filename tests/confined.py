# SPDX-License-Identifier: MIT
"""Places that hide something from lazyobs: namespaces, few capabilities, parts of /proc and /sys, no room to write.

A place is a command that executes what follows it. Each is made for real, by unshare(1), setpriv(1) and mount(8).
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness import LAZYOBS, ROOT, need_open_checkout, need_programs, need_root, skip

# What can be had: every number; the procfs tier; or a line that says why not, and exit status 3.
BPF, PROCFS, REFUSED = "bpf", "procfs", "refused"
_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@dataclass(frozen=True)
class Place:
    """``prefix``: the command; "{room}" in it is a directory that everyone may write to. ``options``: those of every
    command there. ``can_write``: whether {room} can still be written to."""

    name: str
    gives: str
    prefix: tuple[str, ...]
    options: tuple[str, ...] = ()
    can_write: bool = True
    environment: dict[str, str] = field(default_factory=dict)
    lazyobs: tuple[str, ...] = tuple(LAZYOBS)

    def command(self, room: Path, *arguments: str) -> list[str]:
        return [part.replace("{room}", str(room)) for part in (*self.prefix, *self.lazyobs, *arguments, *self.options)]

    def run(self, room: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """lazyobs with ``arguments``, to its end."""
        return subprocess.run(
            self.command(room, *arguments),
            **{
                "capture_output": True,
                "text": True,
                "stdin": subprocess.DEVNULL,
                "timeout": 120,
                "cwd": ROOT,
                "env": self.environ(room),
                **options,
            },
        )

    def environ(self, room: Path) -> dict[str, str]:
        return {**os.environ, **{name: text.replace("{room}", str(room)) for name, text in self.environment.items()}}


def mounted(*commands: str) -> tuple[str, ...]:
    """In a mount namespace of its own, after these commands of a shell."""
    return ("unshare", "-m", "sh", "-ec", f'{"; ".join(commands)}; exec "$@"', "sh")


def with_only(*capabilities: str, user: int = 0) -> tuple[str, ...]:
    """That user with these capabilities and no others."""
    listed = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    if user == 0:
        return ("setpriv", f"--bounding-set={listed}", f"--inh-caps={listed}")
    return ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", f"--inh-caps={listed}", f"--ambient-caps={listed}")  # fmt: skip


_READ_ONLY = (
    *mounted(
        "mkdir -p {room}/root",
        "mount --bind / {room}/root",
        "for d in proc sys dev; do mount --rbind /$d {room}/root/$d; done",
        "mount -o remount,ro,bind {room}/root",
        "cd {room}/root",
    ),
    *("chroot", "{room}/root", "env", "-C", str(ROOT)),
)
# The checkout may itself be below /tmp: it is mounted there again. The current directory has no room either: Python's
# tempfile would use it.
_NO_SPACE = mounted(
    "mount -t tmpfs none /mnt",
    f"mkdir /mnt/checkout; mount --bind {ROOT} /mnt/checkout",
    "for d in /var/tmp /tmp; do mount -t tmpfs -o size=8k none $d; done",
    f"mkdir -p {ROOT} {{room}}; mount --bind /mnt/checkout {ROOT}; cd /tmp",
    "for d in /var/tmp /tmp; do dd if=/dev/zero of=$d/full bs=1k count=20 2>/dev/null || :; done",
)
# As unshare --map-users, which takes newuidmap(1): the parent writes the maps.
_MANY_USERS = """
import ctypes, os, signal, sys
here, there = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    if ctypes.CDLL(None).unshare(0x10000000):
        sys.exit("unshare is refused")
    os.write(here[1], b"x"), os.read(there[0], 1)
    os.setgid(0), os.setuid(0)
    os.execvp(sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is for the child
os.read(here[0], 1)
for name in ("uid_map", "gid_map"):
    with open(f"/proc/{child}/{name}", "w") as file:
        file.write("0 0 65536")
os.write(there[1], b"x")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
"""
# Everything of Python and lazyobs is below a directory that root alone may enter.
_PRIVATE = mounted(
    "mkdir -p {room}/home/checkout {room}/home/venv",
    "chmod 0700 {room}/home",
    f"mount --bind {ROOT} {{room}}/home/checkout",
    f"mount --bind {sys.prefix} {{room}}/home/venv",
    "cd {room}/home/checkout",
)
_PYTHON = os.path.relpath(sys.executable, sys.prefix)

PLACES = (
    Place("pid namespace", BPF, ("unshare", "-p", "-f", "--mount-proc")),
    Place("pid namespace with the host's /proc", BPF, ("unshare", "-p", "-f")),
    Place("time namespace", BPF, ("unshare", "-T", "-f", "--boottime", "864000", "--monotonic", "864000")),
    Place("cgroup namespace", BPF, ("unshare", "-C")),
    Place("container", BPF, ("unshare", "-p", "-f", "-C", "-T", "-m", "-u", "-i", "--mount-proc")),
    Place("user namespace of one user", REFUSED, (*_NOBODY, "unshare", "-Ur")),
    Place("user namespace of one user, procfs", PROCFS, (*_NOBODY, "unshare", "-Ur"), ("--tier", "procfs")),
    Place("user namespace of many users", REFUSED, (sys.executable, "-c", _MANY_USERS)),
    Place("user namespace of many users, procfs", PROCFS, (sys.executable, "-c", _MANY_USERS), ("--tier", "procfs")),
    Place("needed capabilities", BPF, with_only("bpf", "perfmon", "syslog")),
    Place("needed capabilities, another user", BPF, with_only("bpf", "perfmon", "syslog", user=65534)),
    Place("capabilities of the unit", BPF, with_only("bpf", "perfmon", "syslog", "setuid", "setgid", "setpcap", "chown")),
    Place("without CAP_SYSLOG", PROCFS, with_only("bpf", "perfmon")),
    Place("without CAP_PERFMON", REFUSED, with_only("bpf", "syslog")),
    Place("no capability", REFUSED, with_only()),
    Place("/proc with subset=pid", PROCFS, mounted("mount -t proc -o subset=pid proc /proc")),
    Place("/proc with hidepid=2", BPF, mounted("mount -t proc -o hidepid=2 proc /proc")),
    Place("/proc/sys hidden", BPF, mounted("mount -t tmpfs none /proc/sys")),
    Place("/sys hidden", PROCFS, mounted("mount -t tmpfs none /sys")),
    Place("/sys/kernel hidden", PROCFS, mounted("mount -t tmpfs none /sys/kernel")),
    Place("read-only root", BPF, _READ_ONLY, can_write=False),
    Place("no space in /tmp", BPF, _NO_SPACE, can_write=False, environment={"PYTHONPATH": str(ROOT)}),
    Place("home of mode 0700", BPF, _PRIVATE, environment={"PYTHONPATH": "{room}/home/checkout"}, lazyobs=("{room}/home/venv/" + _PYTHON, "-m", "lazyobs")),
)  # fmt: skip
NAMED = {place.name: place for place in PLACES}


def need(place: Place, room: Path) -> None:
    """Skips where this machine does not let us make the place."""
    need_root("it makes namespaces and mounts")
    need_programs("unshare", "setpriv", "mount")
    if any("65534" in part for part in place.prefix):
        need_open_checkout()
    probe = subprocess.run(
        [part.replace("{room}", str(room)) for part in (*place.prefix, "true")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if probe.returncode:
        skip("host", f"{place.name} cannot be made here: {(probe.stderr or probe.stdout).strip()[-200:]}")
