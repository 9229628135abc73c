# SPDX-License-Identifier: MIT
"""The verdict as a document, for machines: verdict.schema.json describes it. The letter and the page are made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazyobs.judge.judgement import Judged
from lazyobs.judge.state import FORMAT, Folder
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, json_safe


def document(folder: Folder, settings: dict[str, Any], judged: Sequence[Judged]) -> dict[str, Any]:
    """Of the whole judgement. ``word``: the worst of the arms."""
    words = [one.word for one in judged]
    arms = []
    for one in judged:
        arms.append(
            {
                "arm": one.arm,
                "word": one.word,
                "said": one.said,
                "series": settings["arms"][one.arm]["series"],
                "findings": [json_safe(vars(finding)) for finding in one.findings],
                "claims": [claim.as_json() for claim in one.claims],
                "tables": [json_safe(vars(table)) for table in one.tables],
                "card": folder.card(one.arm),
            }
        )
    return {
        "format": FORMAT,
        "word": FAIL if FAIL in words else INCONCLUSIVE if INCONCLUSIVE in words else PASS,
        "base": settings["base"],
        "run": settings["run"],
        "builds": folder.builds(),
        "boots": {name: _boot(one) for name, one in folder.boots().items()},
        "arms": arms,
    }


def _boot(one: dict[str, Any]) -> dict[str, Any]:
    return {key: one.get(key) for key in ("arm", "kind", "flavour", "number", "seconds")}
