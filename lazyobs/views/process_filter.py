# SPDX-License-Identifier: MIT
"""Which processes are shown: the filter of -p, -u, -c, and the screen's search."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lazyobs.model import Process


@dataclass(frozen=True)
class ProcessFilter:
    """Empty and None are no limit. ``user`` is as in Process.user; ``cgroup`` is a path and includes the cgroups below;
    ``words`` are searched in pid, user, name, command line and cgroup."""

    pids: tuple[int, ...] = ()
    user: str | None = None
    cgroup: str | None = None
    words: str = ""

    def passes(self, process: Process) -> bool:
        if self.pids and process.pid not in self.pids:
            return False
        if self.user is not None and process.user != self.user:
            return False
        if self.cgroup is not None and not _is_below(process.cgroup, self.cgroup):
            return False
        return not self.words or self._has_words(process)

    def of(self, processes: Iterable[Process]) -> list[Process]:
        """The processes that pass, in the same order."""
        return [process for process in processes if self.passes(process)]

    def has_ended(self, processes: Iterable[Process]) -> bool:
        """Whether all processes of -p have ended; False without -p."""
        return bool(self.pids) and not any(process.pid in self.pids for process in processes)

    def _has_words(self, process: Process) -> bool:
        wanted = self.words.casefold()
        return any(
            wanted in one.casefold()
            for one in (process.comm, process.user, str(process.pid), process.cgroup or "", process.args or "")
        )


def _is_below(path: str | None, ancestor: str) -> bool:
    """Whether a cgroup path is that cgroup or inside it."""
    if path is None:
        return False
    ancestor = "/" + ancestor.strip("/")
    return ancestor == "/" or path == ancestor or path.startswith(ancestor + "/")
