# SPDX-License-Identifier: MIT
"""Engines and recordings that the tests of the engine share."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazyobs.soak.engine import Engine, open_engine
from tests.soak.generated import Shape, make

SMALL = Shape(samples=211, events=1009, processes=3, segment_samples=53)


@pytest.fixture(scope="session")
def duckdb_engine():
    with open_engine("duckdb") as engine:
        yield engine


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of 211 samples and 1,009 events in four segments."""
    path = tmp_path_factory.mktemp("recordings") / "small"
    make(path, 23, SMALL)
    return path


@pytest.fixture
def series(duckdb_engine: Engine):
    """A function that reads a recording with DuckDB."""
    return lambda path, **more: duckdb_engine.series(str(path), **more)
