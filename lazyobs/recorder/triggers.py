# SPDX-License-Identifier: MIT
"""Triggers that make a flight recorder keep its present segments: a row each, with a threshold."""

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
    """Figures of one tick. ``longest_walk`` is in seconds, None without walk events; ``violations`` is None where no
    invariant can be watched."""

    sample: Sample
    log: list[LogLine]
    lost: int
    longest_walk: float | None = None
    violations: int | None = None


@dataclass(frozen=True)
class Trigger:
    """Fires when ``measure`` reaches ``threshold``; a measure of None is unknown and never fires.

    ``needs``: kinds of events, or the ledger, at least one of which must be available; ``by_events``: it is measured
    by recorded events, so it does not see events that the filter drops.
    """

    name: str
    help: str
    threshold: float
    measure: Callable[[Tick], float | None]
    needs: tuple[str, ...]
    by_events: bool = False

    def why_never(self, missing: dict[str, str], kinds: tuple[str, ...]) -> str:
        """Why it cannot fire, "" if it can. ``missing``: {kind or ledger: why}; ``kinds``: the filter's kinds."""
        left_out = {kind: "-e excludes these events" for kind in KIND_NAMES if kind not in kinds}
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
        Trigger("violation", "invariant violations in a tick", 1, lambda tick: tick.violations, ("violation", LEDGER)),
    )
}  # fmt: skip


def parse(text: str) -> Trigger:
    """Parses ``name`` or ``name:threshold``. UsageError for an unknown name."""
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
        raise UsageError(f"--keep-on {printable(text)}", "has no number after the colon", f"use {name}:1000")
    return replace(trigger, threshold=threshold)


class Watch:
    """Checks each tick; a trigger that keeps firing counts once."""

    def __init__(self, triggers: Sequence[Trigger]) -> None:
        self._triggers = triggers
        self._firing: set[str] = set()

    def look(self, tick: Tick) -> list[tuple[Trigger, float]]:
        """Triggers that have started to fire, each with its measure."""
        begun = []
        for trigger in self._triggers:
            value = trigger.measure(tick)
            if value is None or value < trigger.threshold:
                self._firing.discard(trigger.name)
            elif trigger.name not in self._firing:
                self._firing.add(trigger.name)
                begun.append((trigger, float(value)))
        return begun
