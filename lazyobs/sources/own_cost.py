# SPDX-License-Identifier: MIT
"""What lazyobs itself costs: its CPU time, that of the loader, and that of its programs in windows of statistics.

With a budget (budget.py) it also does what the policy says: stops the stream of events, detaches probe points, leaves
out a census; and undoes it. The programs of iterators are left out of the programs' time: they run in the reader's own,
which counts it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lazyobs.bpf import optional
from lazyobs.bpf.meter import Window
from lazyobs.bpf.points import ITERATOR, POINTS
from lazyobs.bpf.programs import point_of
from lazyobs.bpf.session import Session
from lazyobs.sources import budget, health
from lazyobs.sources.budget import ALSO, EVENTS, Costs, Policy, State
from lazyobs.sources.budget import POINTS as OTHERS
from lazyobs.text import say
from lazyobs.unix import self_usage

if TYPE_CHECKING:
    from lazyobs.bpf.event_stream import EventStream

_ITERATED = frozenset(point.name for point in POINTS if point.fixed and point.fixed[0].kind == ITERATOR)
_ON_TRACEPOINTS = frozenset(point.name for point in POINTS if point.fixed) - _ITERATED
_NO_BUDGET = "there is no --budget"
_NO_WINDOW = "measured with --budget, or while kernel.bpf_stats_enabled is 1"
_FIRST = "known from the second sample on"
_SECONDS_BETWEEN, _SECONDS_BETWEEN_FLOORS = 0.9, 30.0  # two windows; two of them that measure the floor as well


def is_exit(program: str) -> bool:
    """Whether a program, by its name, ends what another one begins."""
    return program.startswith(("fexit_", "kretprobe_", "lock_wait_ends"))


class OwnCost:
    """``reasons``: {health column: why it is null}. ``share``: the budget, None without one."""

    def __init__(self, session: Session, share: float | None, stream: EventStream | None) -> None:
        self._session, self._stream, self.share = session, stream, share
        self._cpus = max(1, os.cpu_count() or 1)
        self._map_bytes = _map_bytes(session.maps.values())
        self._shedable = self._points_to_shed()
        steps = [step for step, points in self._shedable.items() if points]
        self._policy = Policy(share, [*([EVENTS] if stream else []), *steps]) if share is not None else None
        self._state, self._tiers, self._refused = State(), dict(session.tiers), dict(session.refused)
        self._open_ends: list[str] = []  # links of exit programs of points that were shed at the last sample
        self._since_census = 0
        self._cpu_before: float | None = None
        self._stats_before: dict[str, tuple[int, int]] | None = None
        self._census, self._bpf_seconds, self._shed_seconds = 0.0, 0.0, 0.0
        self._window: Window | None = None
        self._empty_ns: float | None = None  # of a run of an empty program
        self._last_window = self._last_floor = float("-inf")
        self._why_no_window = "" if session.meter else _NO_WINDOW
        self.reasons: dict[str, str] = {}

    def _points_to_shed(self) -> dict[str, list[str]]:
        attached = [point.name for point in POINTS if not point.required and self._session.tiers.get(point.name)]
        attached = [name for name in attached if name not in _ITERATED]
        asked = [name for name in attached if name in optional.COSTS]
        return {ALSO: asked, OTHERS: [name for name in attached if name not in asked]}

    @property
    def state(self) -> State:
        return self._state

    @property
    def takes_census(self) -> bool:
        """Whether this sample has one."""
        return self._since_census + 1 >= self._state.every

    @property
    def why_no_census(self) -> str:
        """The reason, for a sample without one."""
        assert self.share is not None
        return f"{budget.why(self.share)}: taken at every {self._state.every}th sample"

    def note(self, elapsed: float, census_cpu: float, stats: Mapping[str, tuple[int, int]]) -> health.Health:
        """At the end of a sample: its columns. ``census_cpu``: CPU seconds that the census took, ``stats``: {program:
        (ns, runs)} since attach, known while statistics are on."""
        taken = self.takes_census
        self._since_census = 0 if taken else self._since_census + 1
        cpu = self._cpu_share(elapsed)
        programs = self._programs_share(elapsed, stats)
        if taken:
            self._census = census_cpu / elapsed / self._cpus if elapsed else 0.0
        found = self._columns(cpu, programs)
        if self._points_shed():
            self._shed_seconds += elapsed
            found["shed_seconds"] = round(self._shed_seconds, 6)
        return found

    def decide(self, columns: health.Health) -> bool:
        """After the sample: sheds or takes back, and begins the next window. Whether other points are attached now."""
        for name in self._open_ends:
            self._detach(name)
        self._open_ends = []
        changed = False
        cpu = columns["own_cpu_share"]
        if self._policy is not None and cpu is not None:
            costs = Costs(cpu + (columns["bpf_share"] or 0.0), self._census, self._since_census == 0, self._of_steps())
            changed = self._apply(self._policy.decide(costs))
        self._begin_window()
        return changed

    def _begin_window(self) -> None:
        now = time.monotonic()
        if self._session.meter is None or now - self._last_window < _SECONDS_BETWEEN:
            return
        floor = self._state.at_floor and now - self._last_floor >= _SECONDS_BETWEEN_FLOORS
        self._last_window, self._last_floor = now, now if floor else self._last_floor
        self._session.meter.begin(floor)

    def _cpu_share(self, elapsed: float) -> float | None:
        meter = self._session.meter
        now = self_usage.cpu_seconds() + (meter.cpu_seconds if meter else 0.0)
        before, self._cpu_before = self._cpu_before, now
        return None if before is None or not elapsed else max(0.0, now - before) / elapsed / self._cpus

    def _programs_share(self, elapsed: float, stats: Mapping[str, tuple[int, int]]) -> float | None:
        before, self._stats_before = self._stats_before, dict(stats)
        meter = self._session.meter
        if meter is None:
            if before is None or not elapsed:
                return None
            if not any(runs > before.get(name, (0, 0))[1] for name, (_, runs) in stats.items()):
                return None
            spent = sum(ns - before.get(name, (0, 0))[0] for name, (ns, _) in stats.items() if not _iterates(name))
            return spent / 1e9 / elapsed / self._cpus
        found = meter.window()
        if found is not None:
            self._window, self._why_no_window = (None, found.why_not) if found.why_not else (found, "")
            self._empty_ns = found.empty_ns or self._empty_ns
        if meter.ended:
            self._window, self._why_no_window = None, meter.ended
        if self._window is None:
            return None
        share = self._in_window(sum(ns for ns, _ in self._window.programs.values()))
        self._bpf_seconds += share * elapsed * self._cpus
        return share

    def _in_window(self, nanoseconds: float) -> float:
        assert self._window is not None
        return nanoseconds / 1e9 / self._window.seconds / self._cpus

    def _of_steps(self) -> dict[str, float]:
        """What the steps that are not shed cost, as far as it is known: that of events is not."""
        if self._window is None:
            return {}
        spent = dict.fromkeys(self._shedable, 0)
        for name, (ns, _) in self._window.programs.items():
            point = point_of(name)
            for step, points in self._shedable.items():
                spent[step] += ns if point in points else 0
        return {step: self._in_window(ns) for step, ns in spent.items()}

    def _floor(self) -> float | None:
        """What empty programs would take in the place of ours on the raw tracepoints."""
        if self._window is None or self._empty_ns is None:
            return None
        runs = sum(runs for name, (_, runs) in self._window.programs.items() if point_of(name) in _ON_TRACEPOINTS)
        return self._in_window(runs * self._empty_ns)

    def _columns(self, cpu: float | None, programs: float | None) -> health.Health:
        meter, policy = self._session.meter, self._policy
        is_over = self.share is not None and (cpu or 0.0) + (programs or 0.0) > self.share
        floor = self._floor() if self._state.at_floor and is_over else None
        loader = meter.cpu_seconds if meter else self._session.loader_cpu_seconds
        found: health.Health = {
            "own_cpu_share": None if cpu is None else round(cpu, 9),
            "bpf_share": None if programs is None else round(programs, 9),
            "loader_cpu_seconds": None if loader is None else round(loader, 6),
            "loader_rss_bytes": meter.rss_bytes if meter else None,
            "map_bytes": self._map_bytes,
            "budget_share": self.share,
            "floor_share": None if floor is None else round(floor, 9),
            "events_shed": int(EVENTS in self._state.shed) if policy and self._stream else None,
            "points_shed": self._points_shed() if policy else None,
            "census_every": self._state.every if policy else None,
            "shed_seconds": round(self._shed_seconds, 6) if policy else None,
        }
        if meter is not None:
            found |= {"bpf_runs": None, "bpf_seconds": round(self._bpf_seconds, 9) if self._window else None}
        self.reasons = self._reasons(found)
        return found

    def _reasons(self, found: health.Health) -> dict[str, str]:
        no_floor = "measured where the cost is over the budget with everything shed"
        meter = self._session.meter
        why = {
            "own_cpu_share": _FIRST,
            "bpf_share": self._why_no_window or _FIRST,
            "loader_cpu_seconds": "the loader did not say it",
            "loader_rss_bytes": _FIRST if meter else "the loader has ended: it stays for a --budget only",
            "map_bytes": "/proc/self/fdinfo cannot be read",
            "budget_share": _NO_BUDGET,
            "floor_share": no_floor if self._policy else _NO_BUDGET,
            "events_shed": "there is no stream of events" if self._policy else _NO_BUDGET,
            "bpf_runs": "counted in windows only, with --budget",
            "bpf_seconds": self._why_no_window or _FIRST,
        }
        return {f"health.{name}": why.get(name, _NO_BUDGET) for name, value in found.items() if value is None}

    def _points_shed(self) -> int:
        return sum(len(points) for step, points in self._shedable.items() if step in self._state.shed)

    # --- shedding ---------------------------------------------------------------------------------

    def _apply(self, wanted: State) -> bool:
        before, self._state = self._state, wanted
        changed = False
        for step in budget.STEPS:
            if step in wanted.shed and step not in before.shed:
                changed |= self._shed(step)
            elif step in before.shed and step not in wanted.shed:
                changed |= self._take_back(step)
        if changed and self._stream is not None:
            self._stream.refresh()
        return changed

    def _shed(self, step: str) -> bool:
        if step == EVENTS:
            assert self._stream is not None
            self._stream.pause()
            return False
        assert self.share is not None
        for point in self._shedable[step]:
            # Programs that end something go a sample later: what is under way ends by then, and leaves nothing behind.
            for name in [name for name in self._session.links if point_of(name) == point]:
                if is_exit(name):
                    self._open_ends.append(name)
                else:
                    self._detach(name)
            tier = self._session.tiers[point]
            self._session.tiers[point] = None
            self._session.refused[point] = {str(tier): budget.why(self.share)}
        return True

    def _detach(self, link: str) -> None:
        fd = self._session.links.pop(link, None)
        if fd is not None:
            os.close(fd)

    def _take_back(self, step: str) -> bool:
        if step == EVENTS:
            assert self._stream is not None
            self._stream.resume()
            return False
        assert self._session.meter is not None
        for point in self._shedable[step]:
            try:
                self._session.links.update(self._session.meter.attach(point))
            except OSError as error:
                self._session.refused[point] = {str(self._tiers[point]): f"shed, and not attached again: {error}"}
                say(f"lazyobs: --budget: {point} was shed and cannot be attached again: {error}")
                continue
            self._session.tiers[point] = self._tiers[point]
            self._session.refused[point] = self._refused.get(point, {})
        return True


def _iterates(program: str) -> bool:
    return point_of(program) in _ITERATED


def _map_bytes(fds: Iterable[int]) -> int | None:
    """Kernel memory of the maps (memlock of fdinfo)."""
    total = 0
    try:
        for fd in fds:
            with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
                total += next((int(line.split()[1]) for line in file if line.startswith("memlock:")), 0)
    except OSError:
        return None
    return total
