# SPDX-License-Identifier: MIT
"""An idle process: unless its counts are exact, no other count can be trusted."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lazyobs.selftest.expectations import NOTHING, Count, Expect, forked
from lazyobs.selftest.scenario import Step, scenario
from lazyobs.selftest.stage import Stage


@scenario(
    Step("wait", NOTHING + Expect({"vmas": Count(0)}, {"vmas": Count(0)})),
    Step("work of the interpreter", Expect({"vmas": Count(0), "vmas_anon": Count(0)}, {"vmas": Count(0)})),
    Step("fork", forked(0)),
    Step("wait again"),
)
def control(stage: Stage) -> Iterator[None]:
    """A process that is idle or only computes causes no events"""
    yield
    numbers = [json.loads(json.dumps({"number": number, "text": "x" * (number % 4099)})) for number in range(2003)]
    del numbers
    yield
    stage.fork(lambda _stage: iter(())).advance()
    yield
    yield
