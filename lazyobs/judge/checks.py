# SPDX-License-Identifier: MIT
"""Correctness: a boot of an image in which the tests of inside.py run, and what it means where the kernel dies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lazyobs.judge import inside, inside_programs, own
from lazyobs.judge.asked import DEBUG, PLAIN
from lazyobs.judge.boots import Boot, Job, boot, python
from lazyobs.judge.state import parsed
from lazyobs.text import printable

#: The steps by flavour, what is quick and sharp first. The battery checks numbers, which KASAN and lockdep do not change.
STEPS = {
    PLAIN: ("boot", "kselftest", "moves", "stress", "leak", "battery"),
    DEBUG: ("boot", "kselftest", "moves", "stress", "failslab"),
}
_SECONDS = {PLAIN: 3600.0, DEBUG: 3600.0}
#: Of the machine: caches are not merged, so that a row of slabinfo counts what it says.
APPEND = "slab_nomerge"
_MOST_WATCHED = 60
_MOST_LETTERS = 50_000  # of what a step counted
_MOST_NOTES = 40
_MOST_OF_NAME = 512  # letters: of functions


@dataclass(frozen=True)
class Extras:
    """What not every judgement runs, by its names below the guests' folder: a program of the user's, and the kernel's
    own selftests as this arm's source has them."""

    script: str = ""
    own: str = ""
    programs: tuple[str, ...] = ()

    def steps(self, flavour: str) -> tuple[str, ...]:
        """The kernel's own selftests come last: what the base fails, too, must not keep others from being run."""
        more = ("script",) if self.script else ()
        return (*STEPS[flavour], *more, *(("own",) if self.programs and flavour == PLAIN else ()))

    def environment(self) -> tuple[str, ...]:
        return (
            f"{inside_programs.SCRIPT}={self.script}",
            f"{inside_programs.OWN}={self.own}:{','.join(self.programs)}",
        )


NOTHING_MORE = Extras()


def check(
    image: Path,
    flavour: str,
    share: Path,
    functions: list[str],
    tell: Callable[[str], None],
    steps: tuple[str, ...] = (),
    extras: Extras = NOTHING_MORE,
) -> tuple[dict[str, Any], Boot]:
    """Boots the image and runs the steps. ``functions``: those whose runs are counted, of the plain flavour; ``tell``:
    called with a line when a step has ended. ``steps``: instead of all."""
    steps = steps or extras.steps(flavour)
    watched = functions[:_MOST_WATCHED] if flavour == PLAIN else []
    words = [*steps, *(["--watch", ",".join(watched)] if watched else [])]
    job = Job(python("lazyobs.judge.inside", *words), _SECONDS[flavour], APPEND, environment=extras.environment())

    told: set[str] = set()

    def heard(line: str) -> None:
        row = _row(line)
        if row.get("step") in steps and row["step"] not in told:
            told.add(row["step"])
            tell(one_line(_clean(row)))

    done = boot(image, job, share, heard)
    return document(done, steps), done


def is_new(row: Mapping[str, Any], of_base: Mapping[str, Any] | None) -> bool:
    """Whether a step failed in a way in which it does not fail on the base. Of the kernel's own selftests some fail
    anywhere: those count one by one."""
    if row["outcome"] != inside.FAIL:
        return False
    if of_base is None or of_base["outcome"] != inside.FAIL:
        return True
    return row["step"] == own.STEP and bool(new_ones(row, of_base))


def new_ones(row: Mapping[str, Any], of_base: Mapping[str, Any]) -> list[str]:
    """Tests that fail here and not on the base; none where either side does not say which."""
    here, there = row["numbers"].get("failed"), of_base["numbers"].get("failed")
    if not isinstance(here, list) or not isinstance(there, list):
        return []
    return [printable(str(name))[:120] for name in here if name not in there]


def one_line(row: dict[str, Any]) -> str:
    """A result for people."""
    return f"{row['step']}: {row['outcome']}{' -- ' + row['why'] if row['why'] else ''}"


def document(done: Boot, steps: tuple[str, ...]) -> dict[str, Any]:
    """What the boot says: the result of each step, in order, and of the step in which the kernel died or hung."""
    results: list[dict[str, Any]] = []
    notes: list[str] = []
    begun = ""
    for line in done.output.splitlines():
        row = _row(line)
        if "begin" in row:
            begun = printable(str(row["begin"]))[:_MOST_OF_NAME]
        elif "note" in row:
            notes.append(printable(str(row["note"]))[:300])
        elif row.get("step") in steps and row.get("outcome") in (inside.PASS, inside.FAIL, inside.SKIP):
            if all(one["step"] != row["step"] for one in results):  # a guest may say several
                results.append(_clean(row))
            begun = ""
    why = _broke(done, begun)
    if why:
        results.append(
            {"step": begun or "boot", "outcome": inside.FAIL, "why": why, "numbers": {}, "hits": {}, "seconds": 0}
        )
    return {
        "results": results,
        "notes": notes[:_MOST_NOTES],
        "splats": list(done.splats),
        "status": done.status,
        "hung": done.hung,
        "broke": bool(why),
    }


def _row(line: str) -> dict[str, Any]:
    """A line of the guest's: it runs an unknown kernel, so anything may come."""
    try:
        row = parsed(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _clean(row: dict[str, Any]) -> dict[str, Any]:
    hits, numbers = row.get("hits"), row.get("numbers")
    counts = [(name, count) for name, count in hits.items() if isinstance(count, int) and len(name) < _MOST_OF_NAME] if isinstance(hits, dict) else []  # fmt: skip
    return {
        "step": row["step"],
        "outcome": str(row.get("outcome")),
        "why": printable(str(row.get("why", "")))[:600],
        "numbers": numbers if isinstance(numbers, dict) and len(json.dumps(numbers)) < _MOST_LETTERS else {},
        "hits": dict(counts[:_MOST_WATCHED]),
        "seconds": row["seconds"] if isinstance(row.get("seconds"), int | float) else 0,
    }  # fmt: skip


def _broke(done: Boot, begun: str) -> str:
    """Why the kernel, not a test, is what failed; "" where it is not."""
    first = f"; first it said: {done.splats[0]}" if done.splats else ""
    where = f" in {begun}" if begun else ""
    if done.failure:
        return f"the kernel {done.failure}{where}{first if done.splats and done.splats[0] not in done.failure else ''}"
    if done.hung:
        return f"the kernel hung{where}: no end within the time{first}"
    if done.splats and not begun and done.status == 0:
        return f"the kernel complained: {done.splats[0]}"
    if begun:
        last = [line for line in done.errors.splitlines() if line.strip()]
        return f"the tests ended{where} with status {done.status}: {printable(last[-1])[:300] if last else 'no output'}{first}"
    return ""
