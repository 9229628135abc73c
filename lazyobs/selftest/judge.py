# SPDX-License-Identifier: MIT
"""Compares the expected and the observed events of a step. They must be equal; unknown numbers are not checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from lazyobs.kernel.profile import Profile
from lazyobs.selftest.expectations import CENSUS, EVENTS, OF_EVERY_DESIGN, Count
from lazyobs.selftest.readings import Observed
from lazyobs.selftest.scenario import Step

# What a first fault in a VMA that has no neighbour counts as, without lazy anon_vmas and with them. The first lazy VMA
# of an address space, as a child's, allocates the anon_vma that all of them share.
_FIRST_FAULT = {
    False: ("first_faults", "prepares", "anon_vma_allocs", "chain_allocs"),
    True: ("first_faults", "lazy_prepares", "anon_vma_allocs"),
}


class Reading(Protocol):
    def observed(self) -> Observed: ...

    def of_others(self, counter: str) -> int | None: ...


@dataclass(frozen=True)
class Check:
    """One number. ``found`` None: this tier cannot measure it, so it is not checked.

    ``others``: at most this many of the ``found`` events may come from other processes.
    """

    step: str
    what: str
    expected: int
    found: int | None
    others: int = 0

    @property
    def ok(self) -> bool:
        return self.found is None or self.found - self.others <= self.expected <= self.found

    @property
    def is_known(self) -> bool:
        return self.found is not None

    def __str__(self) -> str:
        among = f" (other processes may have caused {self.others})" if self.others else ""
        return f"step {self.step!r}: {self.what} expected {self.expected} found {self.found}{among}"


@dataclass(frozen=True)
class Judge:
    """``lazy``: lazy anon_vmas are on. ``interpreter_vmas``: VMAs in a fork that are not the scenario's. ``wiped``: VMAs
    that a fork empties, and its child writes to before it does anything else (wiped.py).
    """

    profile: Profile | None
    lazy: bool
    interpreter_vmas: int
    off_by: int = 0  # added to every expected number, to prove that each can fail
    wiped: int = 0

    def checks(self, step: Step, reading: Reading, facts: Mapping[str, int]) -> list[Check]:
        """One check per expected number; events that the step does not name must be 0."""
        found = [self._fact(step, name, expected, facts) for name, expected in step.expect.facts.items()]
        if not step.judged:
            return found
        counts = step.expect.counts(self.lazy, self.profile is None or self.profile.ksm_promotes)
        observed = reading.observed()
        for name in (*EVENTS, *(name for name in counts if name not in EVENTS)):
            if name in step.except_for or not self._is_of_this_design(name):
                continue
            expected = counts.get(name, Count(0)).value(self.interpreter_vmas) + self.off_by
            if name in _FIRST_FAULT[self.lazy]:
                expected += counts.get("forks", Count(0)).own * self.wiped
            others = reading.of_others(name.partition(".")[0]) if "." in name else 0
            seen = None if others is None else observed.get(name)
            found.append(Check(step.name, name, expected, seen, others or 0))
        return found

    def _fact(self, step: Step, name: str, expected: int, facts: Mapping[str, int]) -> Check:
        # -1: a fact that the scenario did not report matches no expected number.
        return Check(step.name, name, expected + self.off_by, facts.get(name, -1))

    def _is_of_this_design(self, name: str) -> bool:
        if not self.lazy or self.profile is None or self.profile.pool_member:
            return True
        return name in OF_EVERY_DESIGN or name in CENSUS or "." in name
