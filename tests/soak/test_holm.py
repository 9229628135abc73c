# SPDX-License-Identifier: MIT
"""Holm's correction."""

from lazyobs.soak.holm import holm


def test_each_value_is_multiplied_by_the_tests_that_are_left() -> None:
    assert holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]
    assert holm([0.5, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
