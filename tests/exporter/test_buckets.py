# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from lazyobs.exporter import buckets
from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.collector import LazyobsCollector
from lazyobs.model import HISTOGRAM_BUCKETS, WALKERS
from tests.exporter.host import Host
from tests.exporter.metrics import of_families, series

# Written down a second time on purpose: these may never change.
SECONDS = ("2.56e-07", "1.024e-06", "4.096e-06", "1.6384e-05", "6.5536e-05", "0.000262144", "0.001048576",
           "0.004194304", "0.016777216", "0.067108864", "1.073741824", "+Inf")  # fmt: skip
VMAS = ("1.0", "2.0", "4.0", "16.0", "64.0", "256.0", "1024.0", "4096.0", "+Inf")


def test_bounds_are_fixed() -> None:
    assert buckets.bounds("seconds") == SECONDS
    assert buckets.bounds("vmas") == VMAS


def _slots(counts: dict[int, int]) -> dict:
    cumulative, slots = 0, []
    for slot in range(HISTOGRAM_BUCKETS):
        cumulative += counts.get(slot, 0)
        slots.append([None if slot == HISTOGRAM_BUCKETS - 1 else float(1 << slot), cumulative])
    return {"buckets": slots, "sum": 1.5, "count": cumulative}


def test_an_observation_lies_under_the_first_bound_that_is_not_below_it() -> None:
    # 23 of at most 2^8 ns, 101 of at most 2^9, 211 of at most 2^10, 7 beyond everything.
    chosen = dict(buckets.chosen(_slots({8: 23, 9: 101, 10: 211, 39: 7}), "seconds"))
    assert chosen["2.56e-07"] == 23
    assert chosen["1.024e-06"] == 23 + 101 + 211
    assert chosen["1.073741824"] == 23 + 101 + 211
    assert chosen["+Inf"] == 23 + 101 + 211 + 7


def test_another_layout_is_refused() -> None:
    histogram = _slots({})
    histogram["buckets"] = histogram["buckets"][:-1]
    with pytest.raises(ValueError, match="39 slots"):
        buckets.chosen(histogram, "seconds")


def test_added_is_slot_by_slot() -> None:
    both = buckets.added([_slots({3: 23}), _slots({3: 1, 5: 101})])
    assert (both["buckets"][3][1], both["buckets"][5][1], both["count"], both["sum"]) == (24, 125, 125, 3.0)


def test_histogram_series() -> None:
    host = Host()
    for _ in range(5):
        host.read()
    metrics = of_families(LazyobsCollector(host, CgroupFold()).collect())  # the sixth
    for walker in WALKERS:
        name = "lazyobs_rmap_walk_seconds"
        assert metrics[series(f"{name}_bucket", walker=walker, le="1.024e-06")] == 6 * 11
        assert metrics[series(f"{name}_count", walker=walker)] == 6 * HISTOGRAM_BUCKETS
        assert metrics[series(f"{name}_sum", walker=walker)] == 3.0
    assert metrics[series("lazyobs_rmap_walk_length_vmas_bucket", le="1.0")] == 6 * len(WALKERS)
    assert metrics[series("lazyobs_rmap_walk_length_vmas_count")] == 6 * HISTOGRAM_BUCKETS * len(WALKERS)
