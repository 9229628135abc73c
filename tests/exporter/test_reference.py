# SPDX-License-Identifier: MIT
from __future__ import annotations

from lazyobs.exporter.families import FAMILIES
from lazyobs.exporter.reference import reference
from tests.harness import ROOT

DOCUMENT = ROOT / "docs/metrics.md"


def test_the_document_is_what_the_table_says() -> None:
    assert DOCUMENT.read_text() == reference(), "run python -m lazyobs.exporter.reference > docs/metrics.md"


def test_every_metric_is_in_it() -> None:
    text = DOCUMENT.read_text()
    assert [family.full_name for family in FAMILIES if f"| `{family.full_name}` |" not in text] == []
