# SPDX-License-Identifier: MIT
"""The policy of the budget: which costs shed what, in which order, and when it comes back. No clock, no kernel."""

from __future__ import annotations

import itertools

import pytest

from lazyobs.sources import budget
from lazyobs.sources.budget import ALSO, EVENTS, POINTS, STEPS, Costs, Policy, State

SHARE = 0.005
EVERY = STEPS


class Machine:
    """A machine whose costs are known: what is shed costs nothing, a census costs what it costs when it is taken."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.base, self.census = 0.0005, 0.0005
        self.costs = dict.fromkeys(STEPS, 0.0)
        self.known = {ALSO, POINTS}
        self._since = 0

    def sample(self) -> float:
        """The cost of one sample, after which the policy has decided."""
        state = self.policy.state
        self._since += 1
        taken = self._since >= state.every
        self._since = 0 if taken else self._since
        own = self.base + sum(cost for step, cost in self.costs.items() if step not in state.shed)
        own += self.census if taken else 0.0
        known = {step: cost for step, cost in self.costs.items() if step in self.known and step not in state.shed}
        self.policy.decide(Costs(own, self.census, taken, known))
        return own

    def run(self, samples: int) -> list[float]:
        return [self.sample() for _ in range(samples)]

    def longest_over(self, samples: int) -> int:
        """The most samples over the budget, one after the other."""
        longest = now = 0
        for own in self.run(samples):
            now = now + 1 if own > self.policy.share else 0
            longest = max(longest, now)
        return longest


@pytest.fixture
def machine() -> Machine:
    return Machine(Policy(SHARE, EVERY))


def test_nothing_is_shed_within_the_budget(machine: Machine) -> None:
    machine.run(101)
    assert machine.policy.state == State()


def test_one_sample_over_the_budget_is_no_reason(machine: Machine) -> None:
    for _ in range(11):
        machine.costs[POINTS] = 0.02
        machine.sample()
        machine.costs[POINTS] = 0.0
        machine.sample()
    assert machine.policy.state == State()


def test_what_is_known_is_shed_in_order_and_no_more_than_needed(machine: Machine) -> None:
    machine.known = {*STEPS}
    machine.costs |= {EVENTS: 0.001, ALSO: 0.002, POINTS: 0.003}  # 0.007 with base and census
    machine.run(2)
    assert machine.policy.state == State((EVENTS, ALSO), 1)
    assert machine.sample() == pytest.approx(0.004)


def test_a_step_of_unknown_cost_is_shed_alone_and_the_next_sample_decides(machine: Machine) -> None:
    machine.costs |= {EVENTS: 0.006, POINTS: 0.001}
    machine.run(2)
    assert machine.policy.state == State((EVENTS,), 1)
    machine.run(3)
    assert machine.policy.state == State((EVENTS,), 1)


def test_a_census_that_costs_more_than_the_budget_is_taken_less_often(machine: Machine) -> None:
    """100,000 VMAs on two CPUs: 25 ms a pass, with one sample a second."""
    machine.census = 0.0125
    assert machine.longest_over(40) <= 3
    assert machine.policy.state == State(EVERY, 4)  # 0.0005 + 0.0125 / 4 fits, with / 2 it does not


def test_censuses_come_back_as_far_as_there_is_room(machine: Machine) -> None:
    machine.census = 0.2
    machine.run(40)
    assert machine.policy.state.every == budget.MOST_EVERY
    machine.census = 0.01
    machine.run(2 * budget.MOST_EVERY)
    assert machine.policy.state == State(EVERY, 4)  # 0.0005 + 0.01 / 4 is within 80 % of 0.005, with / 2 it is not


@pytest.mark.parametrize("steps", [(), (EVENTS,), (POINTS,), STEPS])
@pytest.mark.parametrize("load", [0.006, 0.01, 0.05, 0.5])
@pytest.mark.parametrize("step", STEPS)
def test_what_can_be_shed_is_never_over_the_budget_for_more_than_three_samples(
    steps: tuple[str, ...], load: float, step: str
) -> None:
    machine = Machine(Policy(SHARE, steps))
    machine.costs[step] = load if step in steps else 0.0
    machine.census = 0.004 * load / SHARE  # together with it
    if machine.base + machine.census / budget.MOST_EVERY <= SHARE * budget.AIM:
        assert machine.longest_over(64) <= 3
    else:
        machine.run(64)
        assert machine.policy.state == State(tuple(one for one in STEPS if one in steps), budget.MOST_EVERY, True)


def test_a_floor_over_the_budget_is_said_and_sheds_everything_in_order(machine: Machine) -> None:
    machine.base = 0.08  # 2 M slab allocations a second
    seen = []
    for _ in range(6):
        machine.sample()
        seen.append(machine.policy.state)
    assert [state.shed for state in seen] == [(), (EVENTS,), EVERY, EVERY, EVERY, EVERY]
    assert [state.every for state in seen][2:] == [budget.MOST_EVERY] * 4
    assert [state.at_floor for state in seen] == [False, False, False, True, True, True]
    machine.base = 0.0005
    machine.sample()
    assert not machine.policy.state.at_floor


def test_what_was_shed_is_taken_back_in_reverse_when_the_load_has_ended(machine: Machine) -> None:
    machine.base = 0.08
    machine.run(4)
    machine.base = 0.0005
    states = [machine.policy.state]
    for _ in range(101):
        machine.sample()
        if machine.policy.state != states[-1]:
            states.append(machine.policy.state)
    censuses = [state.every for state in states if state.shed == EVERY and not state.at_floor]
    assert censuses == [32, 1]  # what a census costs is known, and there is room for one a sample
    assert [state.shed for state in states[-3:]] == [EVERY[:2], EVERY[:1], ()]


def test_nothing_is_taken_back_without_room(machine: Machine) -> None:
    machine.costs[POINTS] = 0.01
    machine.base = 0.0041  # 82 % of the budget
    machine.run(307)
    assert machine.policy.state.shed == EVERY


def test_a_step_that_fails_again_and_again_is_tried_ever_less_often(machine: Machine) -> None:
    """Its load stays, so each trial is over the budget; hysteresis alone would have one trial in seven samples."""
    machine.costs[POINTS] = 0.02
    trials, before = [], machine.policy.state
    for number in range(2003):
        machine.sample()
        if POINTS in before.shed and POINTS not in machine.policy.state.shed:
            trials.append(number)
        before = machine.policy.state
    waits = [later - earlier for earlier, later in itertools.pairwise(trials)]
    assert waits == sorted(waits) and waits[-1] >= budget.MOST_CALM_SAMPLES
    assert len(trials) < 14


def test_after_a_trial_that_held_it_is_as_patient_as_at_first(machine: Machine) -> None:
    machine.costs[POINTS] = 0.02
    machine.run(101)  # several trials have failed
    machine.costs[POINTS] = 0.0
    machine.run(307)
    assert machine.policy.state == State()
    machine.costs[POINTS] = 0.02
    machine.run(3)
    assert POINTS in machine.policy.state.shed
    machine.costs[POINTS] = 0.0
    machine.run(2 * budget.CALM_SAMPLES + 2)
    assert POINTS not in machine.policy.state.shed


@pytest.mark.parametrize(("text", "share"), [("0.5%", 0.005), ("100%", 1.0), ("0.01%", 0.0001), ("2.25 %", 0.0225)])
def test_a_budget_is_a_share_in_per_cent(text: str, share: float) -> None:
    assert budget.parse(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "0.5", "0%", "-1%", "101%", "0.001%", "nan%", "1e1%", "½%", "0.5%%", "five", "1" * 99 + "%"])  # fmt: skip
def test_anything_else_is_refused_with_what_would_be_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"from 0.01% to 100%"):
        budget.parse(text)


def test_words_name_what_is_known_and_nothing_else() -> None:
    assert budget.words({}) == ""
    assert budget.words({"own_cpu_share": 0.004, "bpf_share": None}) == "own cost 0.4% of the machine (CPU 0.4%, BPF -)"
    shed = {"budget_share": 0.005, "own_cpu_share": 0.003, "bpf_share": 0.001, "events_shed": 1, "points_shed": 1, "census_every": 4}  # fmt: skip
    assert budget.words(shed).endswith("budget 0.5%  shed events, 1 probe point, 3 of 4 censuses")
    assert budget.words({**shed, "floor_share": 0.06}).endswith("empty programs alone would take 6%")
