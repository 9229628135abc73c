# SPDX-License-Identifier: MIT
"""Paths of cgroups that the kernel names by id (cgroup v2; the default hierarchy elsewhere)."""

from __future__ import annotations

_MOST = 10_000


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
