# SPDX-License-Identifier: MIT
"""A/A calibration: what the comparison says where nothing differs, in the noise of these very boots.

The new arm is moved by the shift that was found, so that both arms are of one kind; then the boots are dealt to
the arms anew, in every way there is or in many, and judged as before. A FAIL is then a false one. With a known
shift added, the share of FAILs is the power.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from math import comb

import numpy as np

from lazyobs.soak import hodges_lehmann
from lazyobs.soak.metrics import DURATION, RATIO, SHARE, Metric
from lazyobs.soak.series import Column
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Finding

_MOST = 252  # dealings: all of them with five boots in each arm
_SEED = 15
_STEPS = (0.02, 0.05, 0.1, 0.2)

Judge = Callable[[list[Metric]], set[str]]  # the outcomes of a comparison of these


def calibration(compared: list[Metric], judge: Judge, alpha: float) -> Finding:
    """Shares of PASS, FAIL and INCONCLUSIVE over the dealings, and of the steps that are found."""
    if not compared:
        return Finding("validity", "A/A calibration", INCONCLUSIVE, "nothing is compared")
    pools = [_aligned(metric) for metric in compared]
    sizes = len(compared[0].base), len(compared[0].new)
    dealings = _dealings(*sizes)
    words = [_word(compared, pools, dealing, judge, 0.0) for dealing in dealings]
    shares = {name: words.count(name) / len(words) for name in (PASS, FAIL, INCONCLUSIVE)}
    some = dealings[:: max(len(dealings) // 64, 1)]
    seen = {step: sum(_word(compared, pools, dealing, judge, step) == FAIL for dealing in some) / len(some) for step in _STEPS}  # fmt: skip
    found = ", ".join(f"{step:.0%}: {share:.0%}" for step, share in seen.items())
    outcome = PASS if shares[FAIL] <= alpha else INCONCLUSIVE
    line = (
        f"of {len(dealings)} ways to deal the boots without a difference {shares[PASS]:.0%} give PASS, {shares[FAIL]:.1%} "
        f"FAIL, {shares[INCONCLUSIVE]:.0%} INCONCLUSIVE; a step in every duration is found, {found}"
    )
    numbers = {"dealings": len(dealings), **shares, "found": {str(step): share for step, share in seen.items()}}
    return Finding("validity", "A/A calibration", outcome, line, "", numbers)


def _aligned(metric: Metric) -> Column:
    base, new = metric.on_scale()
    return np.concatenate([base, new - hodges_lehmann.shift(base, new)])


def _dealings(first: int, second: int) -> list[tuple[int, ...]]:
    """Places of the new arm's boots among all."""
    total = first + second
    if comb(total, second) <= _MOST:
        return list(combinations(range(total), second))
    random = np.random.default_rng(_SEED)
    return [tuple(random.permutation(total)[:second]) for _ in range(_MOST)]


def _word(compared: list[Metric], pools: list[Column], dealing: tuple[int, ...], judge: Judge, step: float) -> str:
    there = np.zeros(len(pools[0]), dtype=bool)
    there[list(dealing)] = True
    dealt = [_dealt(metric, pool[~there], pool[there], step) for metric, pool in zip(compared, pools)]
    outcomes = judge(dealt)
    return FAIL if FAIL in outcomes else INCONCLUSIVE if INCONCLUSIVE in outcomes else PASS


def _dealt(metric: Metric, base: Column, new: Column, step: float) -> Metric:
    """The metric with these values (on its scale) in place of its own."""
    if metric.scale == RATIO:
        base, new = np.exp(base), np.exp(new + (np.log1p(step) if metric.unit == DURATION else 0.0))
    elif metric.scale == SHARE:
        base, new = -base, -new
    return replace(metric, base=base, new=new, base_times=np.array([]), new_times=np.array([]))
