# SPDX-License-Identifier: MIT
"""What a judgement runs besides where it is there: the tests of mm/vma.c and the kernel's own selftests, which come with
the source of each arm, and a program of the user's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lazyobs.judge import arms, own, script, vma_tests
from lazyobs.judge.arms import Arm
from lazyobs.judge.asked import BASE
from lazyobs.judge.libraries import Library
from lazyobs.judge.progress import Progress
from lazyobs.judge.state import GUEST, Folder
from lazyobs.judge.vma_tests import Place, VmaTests

WORKLOAD, WAITS = "workload", "waits"
#: What --repeat does again that is no step of the checks.
BESIDES = (vma_tests.STEP, WORKLOAD, WAITS)


@dataclass(frozen=True)
class Job:
    """``places``: the sources of the arms, and of the base, that were built."""

    folder: Folder
    cache: Path
    share: Path
    progress: Progress
    arms: Sequence[Arm]
    places: Mapping[str, Place]


def prepare(job: Job, given: script.Script | None, libraries: Mapping[str, Library]) -> None:
    """Runs the tests of mm/vma.c, and puts into the guests' folder what they are to run; what was done is not done again."""
    _vma_tests(job, libraries)
    guest = job.folder.read(GUEST) or {"script": "", "own": {}}
    if given is not None:
        guest["script"] = given.put(job.share)
    for name, place in job.places.items():
        if name in guest["own"] and _there(job, guest["own"][name]):
            continue
        made = own.build(_affected(job.arms, name), place, libraries[own.NUMA], job.share)
        for note in made["notes"]:
            job.progress.say(f"{name}: {note}")
        guest["own"][name] = made
    job.folder.write(GUEST, guest)


def _there(job: Job, made: Mapping[str, Any]) -> bool:
    return all((job.share / str(made["folder"]) / str(program)).is_file() for program in made["programs"])


def _affected(wanted: Sequence[Arm], name: str) -> list[str]:
    """Of the base all that any arm runs, so that each failure can be seen there, too."""
    found: list[str] = []
    for arm in wanted:
        if name in (arm.name, BASE):
            found += own.affected(arm.series.files() if arm.kind == arms.SERIES else ())
    return list(dict.fromkeys(found))


def _vma_tests(job: Job, libraries: Mapping[str, Library]) -> None:
    results = job.folder.read(vma_tests.RESULTS) or {}
    for name, place in job.places.items():
        if results.get(name, {}).get("outcome") in ("pass", "fail"):
            continue
        tests = VmaTests(job.cache, job.folder.path, libraries[vma_tests.URCU], job.progress.still)
        found = tests.run(name, place)
        results[name] = found
        job.folder.write(vma_tests.RESULTS, results)
        said = f"{found['passed']} of {found['tests']} passed" if found["outcome"] == "pass" else found["why"]
        job.progress.say(f"{name}, {vma_tests.PLACE}: {said}")
