# SPDX-License-Identifier: MIT
"""Metrics as tests want them: {(name, sorted labels): number}."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, tuple[tuple[str, str], ...]]


def series(name: str, **labels: str) -> Series:
    return name, tuple(sorted(labels.items()))


def of_families(families: Iterable[object]) -> dict[Series, float]:
    """Fails on a series that comes twice."""
    found: dict[Series, float] = {}
    for family in families:
        for sample in family.samples:  # type: ignore[attr-defined]
            key = series(sample.name, **sample.labels)
            assert key not in found, key
            found[key] = sample.value
    return found


def of_page(page: bytes) -> dict[Series, float]:
    return of_families(text_string_to_metric_families(page.decode()))
