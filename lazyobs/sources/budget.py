# SPDX-License-Identifier: MIT
"""The budget: which share of the machine's CPU time lazyobs may take, and what it does without to keep within it.

The steps, in this order: the stream of events; the probe points of --also; the other points that are not required,
which give latencies, walks and lock waits; the census, which is then taken at every 2nd, 4th, ... 32nd sample. The
required points stay: the exact totals are exact with any budget. What is left then is a floor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lazyobs.model import Sample
from lazyobs.text import plural

EVENTS, ALSO, POINTS = "events", "also", "points"
STEPS = (EVENTS, ALSO, POINTS)  # in this order, and then the census
MOST_EVERY = 32  # samples to a census

OVER_SAMPLES = 2  # over the budget one after the other, before anything is shed
CALM_SAMPLES = 5  # with room for it, before a step is taken back
MOST_CALM_SAMPLES = 300  # where taking it back has failed again and again
TRIAL_SAMPLES = 10  # after which a step that was taken back is no trial any more
AIM, ROOM, ROOM_OF_CENSUS = 0.9, 0.7, 0.8  # of the budget: what shedding aims at, and what taking back takes

_WHY = "shed to keep within --budget"
LEAST, MOST = 0.0001, 1.0


def parse(value: str) -> float:
    """The share that ``0.5%`` stands for. ValueError, with what would be one, for anything else."""
    found = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?)\s?%", value.strip())
    share = float(found[1]) / 100 if found else 0.0
    if not LEAST <= share <= MOST:
        raise ValueError("use a share of the machine's CPU time from 0.01% to 100%, such as 0.5%")
    return share


@dataclass(frozen=True)
class State:
    """``shed``: of STEPS; ``every``: samples to a census; ``at_floor``: over the budget with nothing left to shed."""

    shed: tuple[str, ...] = ()
    every: int = 1
    at_floor: bool = False


@dataclass(frozen=True)
class Costs:
    """Shares of the machine's CPU time. ``own``: everything, in the last sample; ``census``: of that a census, which
    was ``taken`` in this sample or is that of the last one taken; ``steps``: of that, as far as it is known."""

    own: float
    census: float
    taken: bool
    steps: Mapping[str, float]

    @property
    def rest(self) -> float:
        """Without the census."""
        return max(0.0, self.own - self.census) if self.taken else self.own


class Policy:
    """One decision a sample. A function of the costs alone: it reads no clock and measures nothing.

    A step whose cost is known is shed together with those before it; one whose cost is not known is shed alone, and
    the next sample shows what it has brought. Nothing is taken back without room (ROOM), for CALM_SAMPLES samples; for
    a step that had to be shed again soon it takes twice as many from then on.
    """

    def __init__(self, share: float, steps: Sequence[str]) -> None:
        """``steps``: those of STEPS that there is something to shed in."""
        self.share, self._steps = share, tuple(step for step in STEPS if step in steps)
        self.state = State()
        self._over = self._calm = 0
        self._trials: dict[str, int] = {}  # {step: samples since it was taken back}
        self._patience: dict[str, int] = {}  # {step: calm samples it takes, after trials that failed}

    def decide(self, costs: Costs) -> State:
        """What is to be shed from the next sample on."""
        self._end_trials()
        if self._steady(costs, self.state.every) > self.share:
            self._over, self._calm = self._over + 1, 0
            if self._over >= OVER_SAMPLES:
                self._shed(costs)
        else:
            self._over = 0
            self._take_back(costs)
        return self.state

    def _end_trials(self) -> None:
        """Those that were no failure."""
        self._trials = {step: age + 1 for step, age in self._trials.items()}
        for step in [step for step, age in self._trials.items() if age > TRIAL_SAMPLES]:
            del self._trials[step]
            self._patience.pop(step, None)

    @staticmethod
    def _steady(costs: Costs, every: int) -> float:
        """The cost of a sample on average: only one in ``every`` has a census."""
        return costs.rest + costs.census / every

    def _shed(self, costs: Costs) -> None:
        shed, every, rest = list(self.state.shed), self.state.every, costs.rest
        aim = self.share * AIM
        for step in self._steps:
            if rest + costs.census / every <= aim:
                break
            if step in shed:
                continue
            shed.append(step)
            self._fail(step)
            if step not in costs.steps:
                self.state = State(tuple(shed), every)
                return
            rest = max(0.0, rest - costs.steps[step])
        while rest + costs.census / every > aim and every < MOST_EVERY:
            every *= 2
        if every > self.state.every:
            self._fail("census")
        nothing_left = (tuple(shed), every) == (self.state.shed, self.state.every)
        self.state = State(tuple(shed), every, at_floor=nothing_left)

    def _fail(self, step: str) -> None:
        """It is shed, perhaps again soon after it was taken back."""
        if self._trials.pop(step, None) is not None:
            self._patience[step] = min(2 * self._patience.get(step, CALM_SAMPLES), MOST_CALM_SAMPLES)

    def _take_back(self, costs: Costs) -> None:
        state = self.state = replace(self.state, at_floor=False)
        if state.every > 1:
            step, fits = "census", self._steady(costs, state.every // 2) <= self.share * ROOM_OF_CENSUS
        elif state.shed:
            step, fits = state.shed[-1], self._steady(costs, 1) <= self.share * ROOM
        else:
            return
        self._calm = self._calm + 1 if fits else 0
        if self._calm < self._patience.get(step, CALM_SAMPLES):
            return
        self._calm, self._trials[step] = 0, 0
        if step == "census":  # its cost is known: as often as there is room for
            every = state.every // 2
            while every > 1 and self._steady(costs, every // 2) <= self.share * ROOM_OF_CENSUS:
                every //= 2
            self.state = replace(state, every=every)
        else:
            self.state = replace(state, shed=state.shed[:-1])


def why(share: float) -> str:
    """The reason of what is null because it is shed."""
    return f"{_WHY} {percent(share)}"


def leaves_out_census(sample: Sample) -> bool:
    """Whether this sample has no census because of the budget."""
    return sample.null_reasons.get("census", "").startswith(_WHY)


def percent(share: float) -> str:
    """``0.5%``."""
    return f"{share * 100:.3g}%"


def words(health: Mapping[str, float | None]) -> str:
    """The cost of lazyobs itself and what is shed, from the health columns; "" where nothing of it is known."""
    cpu, programs = health.get("own_cpu_share"), health.get("bpf_share")
    allowed, floor = health.get("budget_share"), health.get("floor_share")
    if cpu is None and programs is None and allowed is None:
        return ""
    known = [share for share in (cpu, programs) if share is not None]
    said = f"own cost {percent(sum(known)) if known else '-'} of the machine"
    said += f" (CPU {'-' if cpu is None else percent(cpu)}, BPF {'-' if programs is None else percent(programs)})"
    if allowed is not None:
        said += f"  budget {percent(allowed)}"
        said += f"  shed {', '.join(shed_words(health)) or 'nothing'}"
    if floor is not None:
        said += f"  over budget with all of it shed: empty programs alone would take {percent(floor)}"
    return said


def shed_words(health: Mapping[str, float | None]) -> list[str]:
    """What is shed: ``["events", "1 probe point", "3 of 4 censuses"]``."""
    found = []
    if health.get("events_shed"):
        found.append("events")
    if points := health.get("points_shed"):
        found.append(f"{points:.0f} {plural(points, 'probe point')}")
    every = health.get("census_every") or 1
    if every > 1:
        found.append(f"{every - 1:.0f} of {every:.0f} censuses")
    return found
