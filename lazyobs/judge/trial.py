# SPDX-License-Identifier: MIT
"""The boots of a judgement: what is tested first, what is measured next, and when there is enough.

Each boot is on disk when it has ended; one that is there is not done again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lazyobs.judge import checks, inside, measure, more_findings, vma_tests
from lazyobs.judge.asked import BASE, PLAIN
from lazyobs.judge.boots import Boot
from lazyobs.judge.progress import Progress
from lazyobs.judge.state import GUEST, Folder
from lazyobs.soak import thresholds

_MOST_BROKEN = 2  # boots of the workload that an arm may lose before it is given up


def extras(guest: Mapping[str, Any], arm: str) -> checks.Extras:
    """What the guests of an arm run besides, of what guest.json says."""
    own = guest.get("own", {}).get(arm) or {"folder": "", "programs": []}
    return checks.Extras(str(guest.get("script", "")), str(own["folder"]), tuple(own["programs"]))


class Trial:
    """``images``: {arm-flavour: folder}; ``budget``: seconds of boots, after which none is begun."""

    def __init__(
        self,
        folder: Folder,
        images: Mapping[str, Path],
        share: Path,
        progress: Progress,
        budget: float,
        flavours: Sequence[str],
    ) -> None:
        self._folder, self._images, self._share, self._progress = folder, images, share, progress
        self._guest = folder.read(GUEST) or {}
        self._flavours = flavours
        spent = sum(float(one.get("seconds") or 0) for one in folder.boots().values())
        self._until = time.monotonic() + budget - spent

    def check(self, arms: Sequence[str]) -> None:
        """Correctness: the arms first; the base where it is to say whether a failure is the patch's."""
        for flavour in self._flavours:
            for arm in arms:
                if f"{arm}-{flavour}" in self._images and not self.failed(arm):
                    self._check(arm, flavour)
            failed = any(self._outcomes(arm, flavour).get(inside.FAIL) for arm in arms)
            if f"{BASE}-{flavour}" in self._images and (failed or flavour == PLAIN):
                self._check(BASE, flavour)

    def _check(self, arm: str, flavour: str) -> None:
        if self._folder.read(f"boots/{arm}-{flavour}-checks.json") is not None:
            return
        if self._is_up():
            self._progress.say(f"the budget is spent before the checks of {arm}, {flavour}")
            return
        more = extras(self._guest, arm)
        self._progress.say(f"booting {arm}, {flavour}: {', '.join(more.steps(flavour))}")
        began = time.monotonic()
        functions = [row["function"] for row in (self._folder.card(arm) or {}).get("functions", {}).get("new", [])]
        name = f"{arm}, {flavour}"
        image = self._images[f"{arm}-{flavour}"]
        found, boot = checks.check(
            image,
            flavour,
            self._share,
            functions,
            lambda line: self._progress.say(f"{name}, {line}"),
            extras=more,
        )
        whole = {
            "arm": arm,
            "kind": "checks",
            "flavour": flavour,
            "number": 1,
            "seconds": round(time.monotonic() - began, 1),
            **found,
        }
        self._folder.add_boot(f"{arm}-{flavour}-checks", whole, boot.console)
        if found["broke"]:  # no test has said it
            self._progress.say(f"{name}, {checks.one_line(found['results'][-1])}")

    def _outcomes(self, arm: str, flavour: str) -> dict[str, int]:
        found = self._folder.read(f"boots/{arm}-{flavour}-checks.json") or {"results": []}
        outcomes = [row["outcome"] for row in found["results"]]
        return {outcome: outcomes.count(outcome) for outcome in set(outcomes)}

    def failed(self, arm: str) -> bool:
        """Whether the arm has failed a check that the base does not fail."""
        boots = self._folder.boots()
        if more_findings.failed_vma_tests(self._folder.read(vma_tests.RESULTS), arm):
            return True
        for flavour in self._flavours:
            own, other = boots.get(f"{arm}-{flavour}-checks"), boots.get(f"{BASE}-{flavour}-checks")
            of_base = {row["step"]: row for row in other["results"]} if other else {}
            if any(checks.is_new(row, of_base.get(row["step"])) for row in (own["results"] if own else [])):
                return True
        return False

    def measure(self, arms: Sequence[str]) -> None:
        """Boots of the workload: two of the base first, which show what two boots of one kernel differ by; then in turn."""
        able = [arm for arm in (BASE, *arms) if f"{arm}-{PLAIN}" in self._images and not self.failed(arm)]
        if BASE not in able or len(able) < 2:
            return
        while not self._is_up():
            counts = self._counts()
            broken = [arm for arm in able if counts.get(f"{arm} broken", 0) >= _MOST_BROKEN]
            able = [arm for arm in able if arm not in broken]
            if BASE not in able or len(able) < 2:
                return
            if waiting := self._without_waits(able, counts):
                self._waits(*waiting)
                continue
            arm = (
                BASE
                if counts.get(BASE, 0) < 2 and not any(counts.get(one, 0) for one in able[1:])
                else measure.order(able, counts)
            )
            if all(counts.get(one, 0) >= measure.looks()[-1] for one in able):
                return
            fewest = min(counts.get(one, 0) for one in able)
            if fewest == max(counts.get(one, 0) for one in able) and measure.is_look(fewest) and self._decided(able):
                self._progress.say(f"decided after {fewest} boots of each arm")
                return
            self._boot(arm, counts.get(arm, 0) + counts.get(f"{arm} broken", 0) + 1)
        self._progress.say("the budget is spent")

    def _is_up(self) -> bool:
        return time.monotonic() >= self._until

    def _counts(self) -> dict[str, int]:
        """{arm: boots that gave values}, and {"arm broken": those that gave none}."""
        counts: dict[str, int] = {}
        for one in self._folder.boots().values():
            if one["kind"] == "measure":
                key = f"{one['arm']} broken" if one["why"] else str(one["arm"])
                counts[key] = counts.get(key, 0) + 1
        return counts

    def _boot(self, arm: str, number: int) -> None:
        left = max(0.0, self._until - time.monotonic()) / 60
        self._progress.say(f"measuring {arm}, boot {number}; {left:.0f} min of the budget are left")
        began = time.monotonic()
        script = str(self._guest.get("script", ""))
        found, boot = measure.measure(self._images[f"{arm}-{PLAIN}"], self._share, script)
        self._keep(arm, "measure", number, began, found, boot)

    def _without_waits(self, able: Sequence[str], counts: Mapping[str, int]) -> tuple[str, int] | None:
        """A measured boot whose kernel was not yet tried with forks at the same time."""
        boots = self._folder.boots()
        for number in range(1, measure.WAITS_BOOTS + 1):
            for arm in able:
                if counts.get(arm, 0) >= number and f"{arm}-{number:03}-waits" not in boots:
                    return arm, number
        return None

    def _waits(self, arm: str, number: int) -> None:
        self._progress.say(f"counting waits for locks of {arm}, boot {number}")
        began = time.monotonic()
        found, boot = measure.waits(self._images[f"{arm}-{PLAIN}"], self._share)
        self._keep(arm, "waits", number, began, found, boot)

    def _keep(self, arm: str, kind: str, number: int, began: float, found: dict[str, Any], boot: Boot) -> None:
        seconds = round(time.monotonic() - began, 1)
        whole: dict[str, Any] = {"arm": arm, "kind": kind, "flavour": PLAIN, "number": number, "seconds": seconds, **found}  # fmt: skip
        self._folder.add_boot(f"{arm}-{number:03}{'' if kind == 'measure' else f'-{kind}'}", whole, boot.console)
        if found["why"]:
            self._progress.say(f"{arm}, boot {number}: {found['why']}")

    def _decided(self, able: Sequence[str]) -> bool:
        boots = list(self._folder.boots().values())
        values = {
            arm: [
                found
                for one in boots
                if one["arm"] == arm and one["kind"] == "measure" and (found := measure.values(one))
            ]
            for arm in able
        }
        limits = thresholds.load()
        return all(measure.decided(measure.judged(values[BASE], values[arm], limits)) for arm in able if arm != BASE)
