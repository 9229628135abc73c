# SPDX-License-Identifier: MIT
"""The tier without BPF: slabinfo, and VMAs from /proc/PID/smaps. Everything else is null."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from lazyobs.bpf import features
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.errors import NotSupported
from lazyobs.kernel import arguments, meminfo
from lazyobs.kernel.boot import boot_offset_of_proc
from lazyobs.kernel.facts import lazy_switch
from lazyobs.kernel.profile import Profile
from lazyobs.kernel.slab import Slabinfo
from lazyobs.kernel.smaps import has_anonymous
from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, COUNTERS, HEALTH_NAMES, HISTOGRAMS, Kernel, Process, Sample
from lazyobs.sources import health
from lazyobs.sources.cgroups import path_of_process
from lazyobs.sources.ledger import LedgerReading
from lazyobs.sources.missing import NO_ARGS, NO_VMAS
from lazyobs.sources.slabs import slab_rows
from lazyobs.text import plural
from lazyobs.unix.users import user_name

if TYPE_CHECKING:
    from lazyobs.kernel.symbols import Symbols

_TICKS = os.sysconf("SC_CLK_TCK")
_PF_KTHREAD = 0x00200000  # a kernel thread (include/linux/sched.h)


class ProcfsSource:
    """A Source (sources/source.py) on /proc alone. ``why``: why there is no better tier."""

    live = True
    compiler = None
    tiers: Mapping[str, str | None] = {"census": "procfs"}

    def __init__(
        self, release: str, profile: Profile, slabinfo: Slabinfo, why: str, proc_root: str = "/proc", args: bool = False
    ) -> None:
        self._release, self._profile, self._slabinfo = release, profile, slabinfo
        self._proc, self._with_args = proc_root, args
        self.set_why(why)
        self._boot = boot_offset_of_proc()
        self._last = time.monotonic()

    def set_why(self, why: str) -> None:
        """The reason for what is null from now on."""
        self._why = why
        self._missing = {
            **dict.fromkeys(features.FEATURES, why),
            features.VMAS: NO_VMAS,
            features.PROGRAMS: "no BPF programs at this tier",
        }

    @property
    def last_reading(self) -> float:
        """When it was read last, on the monotonic clock."""
        return self._last

    @property
    def kernel(self) -> Kernel:
        return Kernel(self._release, self._profile.name, lazy_switch(self._profile, self._proc))

    def memory(self) -> dict[str, int]:
        return meminfo.read(self._proc)

    def why_not(self, feature: str) -> str:
        return features.why_not(feature, self._missing)

    def read(self) -> Sample:
        at, now = time.time(), time.monotonic()
        elapsed, self._last = now - self._last, now
        unseen: list[int] = []
        processes = [process for process in (self._process(pid, unseen) for pid in self._pids()) if process]
        totals = dict.fromkeys(COUNTER_NAMES)
        divided = {counter.split_key: None for counter in COUNTERS if counter.split}
        return Sample(
            time=at,
            elapsed=round(elapsed, 6),
            kernel=self.kernel,
            tiers={"slab": None, "process": None, **self.tiers},
            totals={**totals, **divided},
            rates={},
            exited=dict.fromkeys(COUNTER_NAMES),
            census=self._sums(processes),
            slabs=slab_rows(self._slabinfo, self._slabinfo.read()),
            processes=processes,
            histograms={series: None for histogram in HISTOGRAMS for series in histogram.series()},
            health={**dict.fromkeys(HEALTH_NAMES), **health.of_this_process()},
            null_reasons=self._reasons(len(unseen), len(processes)),
        )

    def _pids(self) -> list[int]:
        return sorted(int(name) for name in os.listdir(self._proc) if name.isdigit())

    def _process(self, pid: int, unseen: list[int]) -> Process | None:
        """One process; None if it has ended or has no memory. Refused processes are counted in ``unseen``."""
        root = f"{self._proc}/{pid}"
        try:
            with open(f"{root}/stat", "rb") as file:
                head, _, tail = file.read().rpartition(b")")
            words = tail.split()
            if int(words[6]) & _PF_KTHREAD:
                return None
            ppid, started = int(words[1]), int(words[19]) / _TICKS
            uid = os.stat(root).st_uid
        except (OSError, IndexError, ValueError, OverflowError):
            return None
        census: dict[str, int | None] = dict.fromkeys(CENSUS_NAMES)
        try:
            with open(f"{root}/smaps", "rb") as file:
                census["vmas"], census["vmas_anon"] = has_anonymous(file.read())
        except ProcessLookupError:  # it has ended, or is ending and has no memory any more
            return None
        except (PermissionError, FileNotFoundError, ValueError):
            if not os.path.exists(root):
                return None
            unseen.append(pid)
        if census["vmas"] == 0:
            return None
        return Process(
            pid=pid,
            start_time=round(self._boot + started, 2),
            user=user_name(uid),
            comm=head.partition(b"(")[2].decode("utf-8", "replace"),
            cgroup=path_of_process(pid, self._proc),
            census=census,
            counts=dict.fromkeys(COUNTER_NAMES),
            ppid=ppid,
            args=arguments.read(pid, self._proc) if self._with_args else None,
        )

    @staticmethod
    def _sums(processes: list[Process]) -> dict[str, int | None]:
        """Sums over the processes that may be read, null where none may: ``null_reasons`` says how many may not."""
        sums: dict[str, int | None] = dict.fromkeys(CENSUS_NAMES)
        for name in ("vmas", "vmas_anon"):
            known = [count for process in processes if (count := process.census[name]) is not None]
            sums[name] = sum(known) if known or not processes else None
        return sums

    def _reasons(self, unseen: int, shown: int) -> dict[str, str]:
        reasons = {
            "totals": f"counting needs BPF: {self._why}",
            "histograms": f"measuring needs BPF: {self._why}",
            "slow_forks": f"counting needs BPF: {self._why}",
            "programs": f"counting needs BPF: {self._why}",
            "families": f"counting needs BPF: {self._why}",
            "processes.vmas_lazy": "smaps does not show anon_vmas, only pages",
            "processes.vmas_private": "smaps does not show anon_vmas, only pages",
            "processes.vmas_shared": "smaps does not show anon_vmas, only pages",
            "health": "this tier has no BPF programs or maps",
        }
        if not self._with_args:
            reasons["processes.args"] = NO_ARGS
        if unseen:
            reasons["processes.vmas"] = (
                f"{unseen} {plural(unseen, 'process', 'processes')} of other users may not be read"
            )
            if unseen >= shown:
                reasons["census.vmas"] = reasons["census.vmas_anon"] = reasons["processes.vmas"]
        if self._slabinfo.why_not:
            reasons["slabs"] = self._slabinfo.why_not
        if self._slabinfo.why_no_merges:
            reasons["slabs.merged_with"] = self._slabinfo.why_no_merges
        return reasons

    def _refuse(self, feature: str) -> NoReturn:
        raise NotSupported(f"reading {feature}", self._missing[feature], "run lazyobs doctor for more")

    def vmas(self, pid: int) -> NoReturn:
        self._refuse(features.VMAS)

    def programs(self) -> NoReturn:
        self._refuse(features.PROGRAMS)

    def trace(self, wanted: EventFilter, splats: bool, symbols: Symbols | None = None) -> NoReturn:
        self._refuse(features.EVENTS)

    def events(self) -> NoReturn:
        self._refuse(features.EVENTS)

    def account(self) -> NoReturn:
        self._refuse(features.ACCOUNT)

    def held(self) -> NoReturn:
        self._refuse(features.HELD)

    def judge(self, barrier: LedgerReading) -> NoReturn:
        self._refuse(features.ACCOUNT)

    def close(self) -> None:
        self._slabinfo.close()
