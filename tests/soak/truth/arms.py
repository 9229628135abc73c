# SPDX-License-Identifier: MIT
"""Two arms of boots whose truth is known, as data. It shares no code with what judges them.

A boot is a Series whose durations are a factor times the same load: the factors are what a shape describes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lazyobs.soak.series import Distribution, Series
from tests.soak.simulate import series

HOUR = 3600.0
NONE, WORSE, LOST = "no difference", "worse", "withheld"
FEW = 99  # one below what a mean duration is taken from


@dataclass(frozen=True)
class Shape:
    """``truth``: NONE (a FAIL is false), WORSE (a PASS is false), LOST (likewise: a metric is missing that would show it).

    ``sd`` of the logarithm of the boots' factors in each arm; ``noise`` their distribution. ``order``: how the boots
    followed each other. ``drift``: share by which durations grow from the first boot to the last. ``outliers``: boots of
    (base, new) that take 1.5 times as long. ``dropped``: boots of (base, new) without fork times; ``few``: with 99 of them.
    """

    name: str
    truth: str
    boots: tuple[int, int] = (5, 5)
    sd: tuple[float, float] = (0.01, 0.01)
    step: float = 0.0
    only: str = ""
    noise: str = "normal"
    order: str = "together"
    drift: float = 0.0
    outliers: tuple[int, int] = (0, 0)
    dropped: tuple[int, int] = (0, 0)
    few: tuple[int, int] = (0, 0)


SHAPES = (
    Shape("A/A", NONE),
    Shape("A/A, 2 %", NONE, sd=(0.02, 0.02)),
    Shape("A/A, 10 %", NONE, sd=(0.1, 0.1)),
    Shape("A/A, 3 boots", NONE, (3, 3)),
    Shape("A/A, 4 boots", NONE, (4, 4)),
    Shape("A/A, 10 boots", NONE, (10, 10)),
    Shape("A/A, 20 boots", NONE, (20, 20)),
    Shape("A/A, 10 and 4 boots, 1 and 5 %", NONE, (10, 4), (0.01, 0.05)),
    Shape("A/A, 10 and 4 boots, 5 and 1 %", NONE, (10, 4), (0.05, 0.01)),
    Shape("A/A, 4 and 10 boots, 5 and 1 %", NONE, (4, 10), (0.05, 0.01)),
    Shape("A/A, 4 and 10 boots, 1 and 5 %", NONE, (4, 10), (0.01, 0.05)),
    Shape("A/A, 20 and 4 boots, 1 and 10 %", NONE, (20, 4), (0.01, 0.1)),
    Shape("A/A, 4 and 20 boots, 10 and 1 %", NONE, (4, 20), (0.1, 0.01)),
    Shape("A/A, 5 and 5 boots, 1 and 5 %", NONE, sd=(0.01, 0.05)),
    Shape("A/A, no variance", NONE, sd=(0.0, 0.0)),
    Shape("A/A, one arm without variance", NONE, sd=(0.0, 0.02)),
    Shape("A/A, heavy tails", NONE, (8, 8), noise="t3"),
    Shape("A/A, skewed", NONE, (8, 8), (0.03, 0.03), noise="skewed"),
    Shape("A/A, two modes", NONE, (8, 8), (0.03, 0.03), noise="two modes"),
    Shape("A/A, an outlier in new", NONE, (8, 8), outliers=(0, 1)),
    Shape("A/A, interleaved, drift of 20 %", NONE, (8, 8), order="interleaved", drift=0.2),
    Shape("A/A, one arm after the other, no drift", NONE, order="after"),
    Shape("A/A, one arm after the other, drift of 20 %", NONE, (8, 8), order="after", drift=0.2),
    Shape("A/A, one arm after the other, drift of 50 %", NONE, (10, 10), order="after", drift=0.5),
    Shape("5 % slower", WORSE, step=0.05),
    Shape("5 % slower, 2 %", WORSE, sd=(0.02, 0.02), step=0.05),
    Shape("5 % slower in forks only", WORSE, step=0.05, only="fork_seconds"),
    Shape("20 % slower", WORSE, step=0.2),
    Shape("10 % slower, an outlier in base", WORSE, (10, 10), step=0.1, outliers=(1, 0)),
    Shape("10 % slower, 5 boots, an outlier in base", WORSE, (5, 5), step=0.1, outliers=(1, 0)),
    Shape("10 % slower, 10 and 4 boots, 1 and 3 %", WORSE, (10, 4), (0.01, 0.03), step=0.1),
    Shape("10 % slower, heavy tails", WORSE, (8, 8), step=0.1, noise="t3"),
    Shape("10 % slower, one arm after the other", WORSE, (8, 8), step=0.1, order="after"),
    Shape("10 % slower, interleaved, drift of 20 %", WORSE, (8, 8), step=0.1, order="interleaved", drift=0.2),
    Shape("3 times as slow, one boot of new without forks", LOST, step=2.0, only="fork_seconds", dropped=(0, 1)),
    Shape("3 times as slow, one boot of new with 99 forks", LOST, step=2.0, only="fork_seconds", few=(0, 1)),
    Shape("forks known in base only", LOST, dropped=(0, 5)),
    Shape("forks known in new only", LOST, dropped=(5, 0)),
    Shape("two boots of new without forks", LOST, dropped=(0, 2)),
)  # fmt: skip


def make(shape: Shape, seed: int) -> tuple[list[Series], list[Series]]:
    """(base, new) of one run."""
    random = np.random.default_rng(seed)
    count = sum(shape.boots)
    places = _places(shape, random)
    arms: tuple[list[Series], list[Series]] = ([], [])
    for boot in range(count):
        new = boot >= shape.boots[0]
        number = boot - shape.boots[0] if new else boot
        factor = float(np.exp(_noise(shape.noise, random) * shape.sd[new]))
        factor *= 1 + shape.drift * places[boot] / max(count - 1, 1)
        if number < shape.outliers[new]:
            factor *= 1.5
        own = series(seed * 1000 + boot, 10, barrier=30, boot_sd=0.0, slower=factor)
        if new and shape.step:
            own = replace(own, distributions=_slower(own.distributions, 1 + shape.step, shape.only))
        if number < shape.dropped[new]:
            own.distributions.pop("fork_seconds")
        if number < shape.few[new]:
            own.distributions["fork_seconds"] = _thinned(own.distributions["fork_seconds"])
        arms[new].append(
            replace(own, samples=own.samples | {"time": own.samples["time"] + _start(shape, places[boot])})
        )
    return arms


def _places(shape: Shape, random: np.random.Generator) -> npt.NDArray[np.intp]:
    """When each boot ran: base's boots first in the result."""
    count = sum(shape.boots)
    if shape.order != "interleaved":
        return np.arange(count)
    return random.permutation(count)


def _start(shape: Shape, place: int) -> float:
    return 0.0 if shape.order == "together" else HOUR * float(place)


def _noise(kind: str, random: np.random.Generator) -> float:
    """Of standard deviation near 1."""
    if kind == "t3":
        return float(random.standard_t(3)) / np.sqrt(3)
    if kind == "skewed":
        return float(random.exponential() - 1)
    if kind == "two modes":
        return float(random.choice((-1.0, 1.0)) + 0.1 * random.normal())
    return float(random.normal())


def _slower(distributions: dict[str, Distribution], factor: float, only: str) -> dict[str, Distribution]:
    return {
        name: replace(one, sum=one.sum * factor) if only in ("", name) else one for name, one in distributions.items()
    }


def _thinned(one: Distribution) -> Distribution:
    share = FEW / float(one.counts.sum())
    counts = np.zeros_like(one.counts)
    counts[int(np.argmax(one.counts))] = FEW
    return replace(one, counts=counts, sum=one.sum * share)
