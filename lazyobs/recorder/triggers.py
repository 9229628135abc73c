# SPDX-License-Identifier: MIT
"""What makes a flight recorder keep what it has: each trigger a row, with a threshold of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lazyobs.bpf.event import KIND_NAMES
from lazyobs.bpf.trace_event import SPLAT
from lazyobs.errors import UsageError
from lazyobs.kernel.log import LogLine
from lazyobs.model import Sample
from lazyobs.text import printable

LEDGER = "ledger"


@dataclass
class Tick:
    """What one tick has brought. ``longest_walk`` is in seconds, None without walk events; ``violations`` None
    where no invariant can be watched."""

    sample: Sample
    log: list[LogLine]
    lost: int
    longest_walk: float | None = None
    violations: int | None = None


@dataclass(frozen=True)
class Trigger:
    """Fires when ``measure`` reaches ``threshold``; a measure of None is not known and never fires.

    ``needs``: kinds of events, or the ledger, of which one must be there; ``by_events``: it is measured by the events
    recorded, so that those which the filter leaves out are not there.
    """

    name: str
    help: str
    threshold: float
    measure: Callable[[Tick], float | None]
    needs: tuple[str, ...]
    by_events: bool = False

    def why_never(self, missing: dict[str, str], kinds: tuple[str, ...]) -> str:
        """Why it cannot fire, "" where it can. ``missing``: {kind or ledger: why}; ``kinds``: of the filter."""
        left_out = {kind: "-e leaves these events out" for kind in KIND_NAMES if kind not in kinds}
        reasons = missing | left_out if self.by_events else missing
        if any(need not in reasons for need in self.needs):
            return ""
        return "; ".join(dict.fromkeys(reasons[need] for need in self.needs))


def _rate(name: str) -> Callable[[Tick], float | None]:
    def measure(tick: Tick) -> float | None:
        value = tick.sample.rates.get(name)
        return value if isinstance(value, int | float) else None

    return measure


TRIGGERS = {
    trigger.name: trigger
    for trigger in (
        Trigger("splat", "a warning, bug or stall in the kernel log", 1, lambda tick: sum(1 for line in tick.log if line.kind), (SPLAT,)),
        Trigger("promotion-storm", "promotions per second", 1000, _rate("promotions"), ("promotion",)),
        Trigger("promotion-failure", "failed promotions per second", 0.001, _rate("promotions_failed"), ("promotion_failed",)),
        Trigger("fork-storm", "forks per second", 1000, _rate("forks"), ("fork",)),
        Trigger("slow-walk", "seconds of one reverse-map walk", 0.01, lambda tick: tick.longest_walk, ("rmap_walk",), by_events=True),
        Trigger("loss", "events lost in a tick", 1, lambda tick: tick.lost, KIND_NAMES, by_events=True),
        Trigger("violation", "invariants broken in a tick", 1, lambda tick: tick.violations, ("violation", LEDGER)),
    )
}  # fmt: skip


def parse(text: str) -> Trigger:
    """``name`` or ``name:threshold``. UsageError when there is none of that name."""
    name, colon, number = text.partition(":")
    if name not in TRIGGERS:
        raise UsageError(f"--keep-on {printable(text)}", "there is no such trigger", f"use {', '.join(TRIGGERS)}")
    trigger = TRIGGERS[name]
    if not colon:
        return trigger
    try:
        threshold = float(number)
    except ValueError:
        threshold = 0.0
    if not 0 < threshold < float("inf"):
        raise UsageError(f"--keep-on {printable(text)}", "has no number behind the colon", f"use {name}:1000")
    return replace(trigger, threshold=threshold)


class Watch:
    """Looks at each tick; a trigger that goes on firing counts once."""

    def __init__(self, triggers: Sequence[Trigger]) -> None:
        self._triggers = triggers
        self._firing: set[str] = set()

    def look(self, tick: Tick) -> list[tuple[Trigger, float]]:
        """Triggers that have begun to fire, each with its measure."""
        begun = []
        for trigger in self._triggers:
            value = trigger.measure(tick)
            if value is None or value < trigger.threshold:
                self._firing.discard(trigger.name)
            elif trigger.name not in self._firing:
                self._firing.add(trigger.name)
                begun.append((trigger, float(value)))
        return begun
