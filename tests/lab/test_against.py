# SPDX-License-Identifier: MIT
"""``lazyobs doctor --against`` of each kernel of the table whose image is here, without a boot: what it expects is what
a tour found on the booted kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab import build, kernels, tour, type_data
from lab.errors import LabError
from lazyobs.bpf import optional, outlook
from lazyobs.bpf.points import POINTS
from tests.harness import need_programs, skip

pytestmark = pytest.mark.lab
WITHOUT_BTF = "lab-nobtf"
# Rows that differ by their command line alone share an image.
NAMES = [row.name for row in kernels.table().values() if build._image_name(row) == row.name != WITHOUT_BTF]


def types(name: str) -> Path | None:
    """The kernel's BTF, None where it has none. Skips where its image is not here."""
    try:
        folder = build.image(kernels.kernel(name))
    except LabError as error:
        skip("lab" if kernels.kernel(name).ci and not kernels.kernel(name).root else "lab-all", str(error))
    need_programs("zstd", "lz4")
    return type_data.of(folder)


def toured(name: str) -> dict[str, Any] | None:
    return next((row for row in tour.kept() if row["kernel"] == name and row.get("tiers")), None)


@pytest.mark.parametrize("name", NAMES)
def test_the_outlook_is_what_the_table_says_and_a_tour_saw(name: str) -> None:
    row = kernels.kernel(name)
    path = types(name)
    assert path is not None
    found = outlook.of(path.read_bytes(), b"", name, None, None)
    lazy = found.facts.profile.has_lazy
    assert found.facts.profile.name == row.profile
    assert found.tiers["anon_vma_fork"] == row.tier
    lost = [
        point.name
        for point in POINTS
        if not found.tiers[point.name] and not point.some_kernels and (lazy or not point.lazy_only)
    ]
    assert lost == [], found.refused
    seen = toured(name)
    if seen is not None:
        tried = {point: tier for point, tier in seen["tiers"].items() if tier or point not in optional.COSTS}
        assert {point: found.tiers[point] for point in tried} == tried
        assert sorted(found.unknown) == seen["unknown"]


def test_a_kernel_without_types_has_none_to_ask() -> None:
    assert types(WITHOUT_BTF) is None
