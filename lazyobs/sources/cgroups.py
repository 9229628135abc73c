# SPDX-License-Identifier: MIT
"""Paths of cgroups that the kernel names by id (cgroup v2; the default hierarchy elsewhere)."""

from __future__ import annotations

import os

_MOST = 10_000


def as_shown(given: str) -> str:
    """A path of the command line as samples have it: bytes that are not UTF-8 as U+FFFD."""
    return os.fsencode(given).decode("utf-8", "replace")


def exists(given: str, proc_root: str = "/proc") -> bool:
    """Whether there is a cgroup of that path, or a process in one that is shown so."""
    below = os.fsencode(given).strip(b"/")
    if any(os.path.isdir(os.path.join(mount, below)) for mount in _mounts(proc_root)):
        return True
    # The path may be as samples show it, or lie outside of this cgroup namespace.
    shown, paths = "/" + as_shown(given).strip("/"), CgroupPaths(proc_root)
    found = (paths.of_process(int(name)) for name in os.listdir(proc_root) if name.isdecimal())
    return any(path == shown or path.startswith(shown.rstrip("/") + "/") for path in found if path is not None)


def _mounts(proc_root: str) -> list[bytes]:
    """Where cgroup v2 is mounted."""
    try:
        with open(f"{proc_root}/self/mounts", "rb") as file:
            rows = [line.split(b" ") for line in file]
    except OSError:
        return []
    return [row[1] for row in rows if len(row) > 2 and row[2] == b"cgroup2"]


class CgroupPaths:
    """Looks up each cgroup id once, through a process in that cgroup."""

    def __init__(self, proc_root: str = "/proc") -> None:
        self._proc = proc_root
        self._paths: dict[int, str] = {}

    def path(self, cgroup_id: int, pid: int) -> str | None:
        """Path below the cgroup root ("/system.slice/x.service"), None if it cannot be determined."""
        if cgroup_id not in self._paths:
            found = self.of_process(pid)
            if found is None:
                return None
            if len(self._paths) >= _MOST:
                self._paths.clear()
            self._paths[cgroup_id] = found
        return self._paths[cgroup_id]

    def of_process(self, pid: int) -> str | None:
        """The same, read from the process without the cache."""
        try:
            with open(f"{self._proc}/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
                for line in file:
                    if line.startswith("0::"):
                        return line[3:].rstrip("\n")
        except OSError:
            pass
        return None
