# SPDX-License-Identifier: MIT
"""How many objects can have been lost by the end of a recording, whenever the loss began.

A slope cannot answer that: a leak that begins at 80 % of the time hardly moves it. So a loss is fitted for each of many
courses: all at once at any moment, at a steady rate from any moment on, or between any two moments.

1. The model is ``live = constant + rate x workload + size x course + noise`` (``_Model``). How many objects a unit of the
   workload has is a constant where the level is known, and lies between two bounds where it is not (per_vma.py).
2. Noise is a first-order autoregression: all columns are whitened before least squares (Cochrane and Orcutt 1949).
3. The upper bound of a course is its size plus t standard errors. These come from the noise with nothing taken off, so
   that a loss of another course widens the bound.
4. PASS needs every upper bound below the limit: an intersection-union test (Berger 1982). Each bound is at the full level
   and needs no correction for the number of courses.
5. All this is done for up to 96 blocks of the recording, again for 24, because noise with a long memory, hidden under
   white noise, looks uncorrelated from one point to the next, and for the last 96 counts one by one, because the median of
   the last block does not see a loss in its last minutes. The highest bound counts. Where single counts are too noisy to
   show a loss, what happened in the last few is left open, and the result says so.

The course that fits best gives a change its time and size, in words: a scan for one change (Quandt 1960).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import stats

from lazyobs.soak import per_vma
from lazyobs.soak.counts import BARRIER, Counts
from lazyobs.soak.series import Column
from lazyobs.soak.trend import BLOCKS, autocorrelation, blocks, effective_points

_COARSE = 24  # blocks of the second fit
_GRID = 12  # moments at which rates may begin and end
_LATE = 8  # blocks at the end of which each may begin a rate, too
_TOO_NOISY = 0.6  # of the limit: bounds so wide, in the last _LATE counts, would rule out nothing
_POWER = 0.8  # of the smallest loss that could have been shown
_CHANGES = 4  # taken off at most before the noise is measured for that
CHANGED = 4.5  # t value of a change: many moments are tried
_TINY = 1e-300
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Loss:
    """In objects, by the end.

    ``most`` and ``least``: bounds over all courses. ``least`` far below 0: something fell that the workload does not
    explain, and may hide as much. ``shown``: the smallest loss that would have been shown in 80 % of the cases, whatever
    its course. ``change``, ``changed_at`` (unix seconds) and ``t``: size, begin and t value of the course that fits best.
    ``until``: when the last loss that is bounded may have begun (unix seconds); infinite where that is the end.
    """

    most: float
    least: float
    shown: float
    change: float
    changed_at: float
    t: float
    until: float = np.inf


@dataclass(frozen=True)
class _Model:
    """``values = a x constant + rate x workload + size x course + noise``, a row for each block, divided by what the noise
    grows with. ``began``: when each course begins. ``most_each``: upper bound of the rate; 0 where the workload is already
    divided out or subtracted."""

    values: Column
    constant: Column
    courses: Matrix
    began: Column
    workload: Column
    most_each: float = 0.0


def loss(counts: Counts, alpha: float, limit: float) -> Loss:
    """``alpha``: how often a loss of one course may lie above ``most``; ``limit``: objects that matter."""
    fine = len(blocks(counts.times))
    # What lies between VMAs and their objects is the moment between two readings, which has no memory.
    sizes = [fine] if counts.exact else [fine, min(_COARSE, max(fine // 2, 8))]
    found = [_fitted(_model(counts, points), alpha) for points in sizes]
    ends = [_at_the_end(counts, fine, alpha, limit)] if len(counts.times) >= fine + _LATE else []
    return replace(
        found[0],
        most=max(one.most for one in [*found, *ends]),
        least=min(one.least for one in found),
        shown=max(one.shown for one in [*found, *ends]),
        until=min((one.until for one in ends), default=np.inf),
    )


def _at_the_end(counts: Counts, fine: int, alpha: float, limit: float) -> Loss:
    """Of the last counts, at the rate that the whole recording has: losses that begin in the later half of them. Those in
    the last few that stand on too few counts to be seen are left out."""
    whole, end = _model(counts, fine), _model(counts.last(BLOCKS), BLOCKS)
    rate = _Whitened(whole).rate(whole.most_each)
    # The noise is that of the counts before, which a loss at the end does not widen.
    before = _Whitened(_model(counts.without_last(_LATE).last(BLOCKS), BLOCKS))
    errors = np.maximum(*(np.broadcast_to(before.errors(each), before.gg.shape) for each in rate))
    noisy = stats.t.isf(alpha, max(before.worth - 2, 2.0)) * errors > _TOO_NOISY * limit
    left_out = noisy & (end.began >= counts.times[-_LATE])
    kept = ~left_out & (end.began >= counts.times[-BLOCKS // 2])
    found = _fitted(replace(end, courses=end.courses[:, kept], began=end.began[kept]), alpha, rate)
    return replace(found, until=float(end.began[left_out].min())) if left_out.any() else found


def _model(counts: Counts, points: int) -> _Model:
    measure, workload = counts.first
    times, live, held = (blocks(values, points) for values in (counts.times, counts.live, workload))
    courses, began = profiles(times)
    one, nothing = np.ones(len(times)), np.zeros(len(times))
    if measure == "VMAs" and counts.exact:
        return _Model((live - held) / held, one / held, courses / held[:, None], began, nothing)
    if counts.source == BARRIER:
        # live = rate x held x (1 + noise) + loss: divided by held, the noise is of one size and the rate the constant.
        return _Model(live / held, one, courses / held[:, None], began, nothing)
    regular = counts.measures.get("regular anonymous VMAs", workload)
    most_each = per_vma.MOST * float(np.median(regular)) / float(np.median(workload))
    return _Model(live, one, courses, began, held, most_each)


def profiles(times: Column) -> tuple[Matrix, Column]:
    """(courses, when each begins): a column each, 0 before it begins and 1 at the end. ``times``: of the blocks."""
    count = len(times)
    share = (times - times[0]) / max(float(times[-1] - times[0]), 1e-9)
    courses = [(np.arange(count) >= place).astype(float) for place in range(1, count)]
    began = list(times[1:])
    edges = np.linspace(0, 1, _GRID + 1)
    for begin in edges[:-1]:
        for end in edges[edges > begin + 1e-9]:
            courses.append(np.clip((share - begin) / (end - begin), 0, 1))
            began.append(times[0] + begin * (times[-1] - times[0]))
    for place in range(max(count - _LATE, 1), count - 1):
        courses.append(np.clip((times - times[place]) / (times[-1] - times[place]), 0, 1))
        began.append(times[place])
    return np.column_stack(courses), np.array(began)


def _fitted(model: _Model, alpha: float, rate: tuple[Column, Column] | None = None) -> Loss:
    """The bounds of one model: at the lowest and at the highest rate (``rate``, or its own), the wider of the two."""
    white = _Whitened(model)
    degrees = max(white.worth - 2, 2.0)
    reach = float(stats.t.isf(alpha, degrees))
    low, high = rate or white.rates(model.most_each)
    low, high = (np.broadcast_to(each, white.gg.shape) for each in (low, high))
    sizes = [white.sizes(each) for each in (low, high)]
    errors = [white.errors(each) for each in (low, high)]
    t = np.minimum(*(white.t_values(each) for each in (low, high)))
    best = int(np.argmax(t))
    apart = np.abs(sizes[1] - sizes[0])
    smallest = max(_smallest(model, float(each[best]), alpha, apart) for each in (low, high))
    return Loss(
        most=max(float((size + reach * error).max()) for size, error in zip(sizes, errors)),
        least=min(float((size - reach * error).min()) for size, error in zip(sizes, errors)),
        shown=smallest,
        change=float(np.minimum(*sizes)[best]),
        changed_at=float(model.began[best]),
        t=float(t[best]),
    )


class _Whitened:
    """The columns of a model without their autocorrelation, and with the constant projected out (Frisch and Waugh 1933):
    ``y = rate x w + size x g + white noise``. ``worth``: independent points among them."""

    def __init__(self, model: _Model) -> None:
        count = len(model.values)
        constant = model.constant
        rest = _without(_without(model.values, constant), _without(model.workload, constant))
        rho = autocorrelation(rest)
        self.worth = effective_points(count, rho)
        self.points = count
        constant = _uncorrelated(constant, rho)
        self.y, self.g, self.w = (
            _without(_uncorrelated(columns, rho), constant) for columns in (model.values, model.courses, model.workload)
        )
        self.gg = np.maximum((self.g**2).sum(axis=0), _TINY)

    def rates(self, most: float) -> tuple[Column, Column]:
        """(lowest, highest) rate for each course, beside which it is fitted; zeros where ``most`` is 0."""
        if not most:
            nothing = np.zeros(len(self.gg))
            return nothing, nothing
        gy, gw = self.g.T @ self.y, self.g.T @ self.w
        yy = np.maximum(self.y @ self.y - gy**2 / self.gg, 0.0)
        ww = np.maximum(self.w @ self.w - gw**2 / self.gg, 1e-12)
        return per_vma.bounds(yy, ww, self.y @ self.w - gy * gw / self.gg, self.worth, most)

    def rate(self, most: float) -> tuple[Column, Column]:
        """The same beside no course."""
        if not most:
            return np.zeros(1), np.zeros(1)
        yy, ww, yw = (np.array([float(product)]) for product in (self.y @ self.y, self.w @ self.w, self.y @ self.w))
        return per_vma.bounds(yy, np.maximum(ww, 1e-12), yw, self.worth, most)

    def sizes(self, rate: Column) -> Column:
        """Least-squares size of each course."""
        result: Column = (self.g.T @ self.y - rate * (self.g.T @ self.w)) / self.gg
        return result

    def errors(self, rate: Column) -> Column:
        """Standard error of each size, by the noise with no course taken off."""
        result: Column = np.sqrt(self._squares(rate) / max(self.points - 2, 1) / self.gg)
        return result

    def t_values(self, rate: Column) -> Column:
        """Of each size, by the noise beside that course."""
        size, squares = self.sizes(rate), self._squares(rate)
        beside = np.maximum(squares - size**2 * self.gg, 1e-9 * squares + 1e-12) / max(self.points - 3, 1)
        result: Column = size / np.sqrt(beside / self.gg)
        return result

    def _squares(self, rate: Column) -> Column:
        """Sum of squares of what the workload does not explain."""
        result: Column = np.maximum(self.y @ self.y - 2 * rate * (self.y @ self.w) + rate**2 * (self.w @ self.w), 0.0)
        return result


def _smallest(model: _Model, rate: float, alpha: float, apart: Column) -> float:
    """The smallest loss that would have been shown in 80 % of the cases whatever its course, by the noise that is left
    when changes are taken off: a leak that is there does not count against what the recording can show. ``apart``: by
    how much the bounds of the rate move the size of each course."""
    values = model.values - rate * model.workload
    white = _Whitened(replace(model, values=values, workload=np.zeros(len(values))))
    none = np.zeros(len(white.gg))
    taken: list[int] = []
    for _ in range(_CHANGES):
        t = np.abs(white.t_values(none))
        if t.max() < CHANGED:
            break
        taken.append(int(np.argmax(t)))
        columns = np.column_stack([model.constant, model.courses[:, taken]])
        rest = values - columns @ np.linalg.lstsq(columns, values, rcond=None)[0]
        white = _Whitened(replace(model, values=rest, workload=np.zeros(len(values))))
    degrees = max(white.worth - 2, 2.0)
    reach = float(stats.t.isf(alpha, degrees) + stats.t.isf(1 - _POWER, degrees))
    return float((apart + reach * white.errors(none)).max())


def _uncorrelated(columns: Matrix, rho: float) -> Matrix:
    """Columns as they would be without a first-order autoregression (Prais and Winsten 1954, who keep the first row)."""
    result: Matrix = columns.astype(float).copy()
    result[1:] -= rho * columns[:-1]
    result[0] *= np.sqrt(1 - rho**2)
    return result


def _without(columns: Matrix, other: Column) -> Matrix:
    """Columns with ``other`` projected out."""
    power = float(other @ other)
    if power == 0:
        return columns
    along = other @ columns / power
    result: Matrix = columns - (np.outer(other, along) if columns.ndim == 2 else other * along)
    return result
