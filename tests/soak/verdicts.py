# SPDX-License-Identifier: MIT
"""Verdicts and series made up to be shown, with whatever names a process or a kernel log could bring."""

from __future__ import annotations

import dataclasses

from lazyobs.soak.series import Mark, Series
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Finding, ResultTable, Verdict
from tests.soak import simulate

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><a href='http://127.0.0.1/'>x</a>\x1b[31m\u202e&amp;"


def recordings(count: int, name: str = "boot", **more) -> list[Series]:
    return [
        dataclasses.replace(simulate.series(number, minutes=7, barrier=10, **more), name=f"{name}-{number}")
        for number in range(1, count + 1)
    ]


def comparison(name: str = "fork time", text: str = "worse") -> tuple[Verdict, list[Series]]:
    """Two arms of three boots; one metric of each outcome, one of them without bounds."""
    base, new = recordings(3, "base"), recordings(3, "new", lazy=0.8)
    numbers = {"scale": "ratio", "unit": "s", "margin": 0.05}
    findings = [
        Finding("cost", name, FAIL, text, "", {**numbers, "estimate": 0.11, "low": 0.07, "high": 0.13}),
        Finding("cost", "prepare time", PASS, "not worse", "", {**numbers, "estimate": 0.01, "low": -0.02, "high": 0.03}),
        Finding("cost", "walk time", INCONCLUSIVE, "open", "", {**numbers, "estimate": 0.02, "low": None, "high": None}),
        Finding("benefit", "anon_vma memory", "", "-74.9K", "", {"estimate": -76_700, "low": -78_000, "high": -75_000, "unit": "bytes"}),
        *(Finding("validity", "whole", PASS, "the recording ended", series.name) for series in [*base, *new]),
    ]  # fmt: skip
    table = ResultTable("cost", ("metric", "base", "new", "outcome"), ((name, 0.002, None, FAIL), ("prepare time", 6e-7, 6e-7, PASS)))  # fmt: skip
    identity = {"base": {one.name: one.identity for one in base}, "new": {one.name: one.identity for one in new}}
    return Verdict(FAIL, findings, [table], identity), [*base, *new]


def hostile() -> tuple[Verdict, list[Series]]:
    """Every text that comes from a machine says something it should not."""
    verdict, found = comparison(HOSTILE, HOSTILE)
    first = found[0]
    first.splats.append(Mark(first.samples["time"][23], HOSTILE, None, HOSTILE))
    first.marks.append(Mark(first.samples["time"][31], HOSTILE, 7.0, HOSTILE))
    found[0] = dataclasses.replace(
        first, name=HOSTILE, identity={**first.identity, "cmdline": HOSTILE, HOSTILE: HOSTILE}
    )
    verdict.tables.append(ResultTable(HOSTILE, (HOSTILE, "x"), ((HOSTILE, HOSTILE),)))
    verdict.findings.append(Finding("correctness", HOSTILE, FAIL, HOSTILE, HOSTILE, {}))
    verdict.identity["base"][HOSTILE] = found[0].identity
    return verdict, found
