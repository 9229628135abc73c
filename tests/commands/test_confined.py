# SPDX-License-Identifier: MIT
"""Every live command in every confined place: it works, or says in one line why not; no traceback and no false zero."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.confined import BPF, PLACES, PROCFS, REFUSED, Place, need
from tests.harness import ROOT

pytestmark = pytest.mark.usefixtures("root")

COMMANDS: dict[str, tuple[str, ...]] = {
    "doctor": ("doctor", "-o", "json"),
    "summary": ("summary", "-d", "0.2", "-o", "json"),
    "top": ("top", "-b", "-n", "1", "-o", "json"),
    "census": ("census", "-o", "json"),
    "trace": ("trace", "--duration", "0.3"),
    "record": ("record", "-o", "{room}/recording", "--duration", "0.3", "--progress", "none"),
    "selftest": ("selftest", "--only", "private_memfd", "-o", "json"),
    "export": ("export", "--listen", "127.0.0.1:0", "--seconds", "60"),
}
_OF_COUNTS = re.compile(r"^lazyobs_prepares_total \d", re.MULTILINE)


@pytest.fixture
def room() -> Iterator[Path]:
    """A directory that every user may write to."""
    with tempfile.TemporaryDirectory(prefix="lazyobs-room-") as name:
        os.chmod(name, 0o777)
        yield Path(name)


class Outcome:
    """What a command did in a place: its output, its errors, its exit status, and of export its page."""

    def __init__(self, place: Place, room: Path, name: str) -> None:
        self.page = ""
        if name == "export":
            self._serve(place.command(room, *COMMANDS[name]), place.environ(room))
        else:
            done = place.run(room, *(part.replace("{room}", str(room)) for part in COMMANDS[name]))
            self.out, self.err, self.status = done.stdout, done.stderr, done.returncode

    def _serve(self, command: list[str], environ: dict[str, str]) -> None:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environ,
            start_new_session=True,
        )
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if found := re.search(r"serving (http://\S+)", line):
                with urllib.request.urlopen(found[1], timeout=60) as answer:
                    self.page = answer.read().decode()
                os.killpg(process.pid, signal.SIGTERM)
        self.out, self.err, self.status = "", said, process.wait(30)

    @property
    def document(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


def refused(found: Outcome) -> str:
    lines = found.err.splitlines()
    if found.status == 3 and len(lines) == 1 and lines[0].startswith("lazyobs: ") and not found.out:
        return ""
    return f"not refused in one line: exit status {found.status}, {found.out[-200:]!r}, {found.err[-500:]!r}"


def works(found: Outcome) -> str:
    return "" if found.status == 0 else f"exit status {found.status}: {found.err[-500:]!r}"


def counts(found: Outcome) -> str:
    """Counters are known, or they are all null with a reason."""
    return works(found) or _null_without_reason(found.document)


def no_counters(found: Outcome) -> str:
    known = works(found) or found.document.get("totals", {}).get("prepares")
    return f"counters: {known}" if known else _null_without_reason(found.document)


def _null_without_reason(document: dict[str, Any]) -> str:
    reasons = document["null_reasons"]
    totals = document.get("totals", {})
    nulls = [name for name in ("prepares", "forks", "anon_vma_allocs") if name in totals and totals[name] is None]
    if nulls and "totals" not in reasons and not any(f"totals.{name}" in reasons for name in nulls):
        return f"null without a reason: {nulls}"
    unknown = [one["pid"] for one in document["processes"] if one["vmas"] is None]
    if unknown and not {"census", "processes.vmas"} & reasons.keys():
        return f"processes with vmas null and no reason: {unknown[:5]}"
    return ""


def serves(found: Outcome) -> str:
    return works(found) or ("" if _OF_COUNTS.search(found.page) else "no counters on the page")


def serves_no_counters(found: Outcome) -> str:
    return works(found) or ("counters on the page" if _OF_COUNTS.search(found.page) else "")


def skipped(found: Outcome) -> str:
    return "" if found.status == 4 else f"exit status {found.status}: {found.out[-300:]!r} {found.err[-300:]!r}"


def records_or_says_why(found: Outcome) -> str:
    return refused(found) if found.status else ""


Check = Callable[[Outcome], str]
EXPECTED: dict[str, dict[str, Check]] = {
    BPF: {
        **dict.fromkeys(("doctor", "summary", "trace", "record", "selftest"), works),
        **dict.fromkeys(("top", "census"), counts),
        "export": serves,
    },
    PROCFS: {
        **dict.fromkeys(("doctor", "summary", "record", "selftest"), works),
        **dict.fromkeys(("top", "census"), no_counters),
        "trace": refused,
        "export": serves_no_counters,
    },
    REFUSED: {
        **dict.fromkeys(("summary", "top", "census", "trace", "record", "export"), refused),
        "doctor": works,
        "selftest": skipped,
    },
}


# One of each kind; the others are slow.
QUICK = (
    "container",
    "user namespace of one user",
    "user namespace of one user, procfs",
    "needed capabilities",
    "/proc with subset=pid",
    "no space in /tmp",
)


@pytest.mark.parametrize(
    "place",
    [pytest.param(place, id=place.name, marks=() if place.name in QUICK else pytest.mark.slow) for place in PLACES],
)
def test_every_command(bpf: None, place: Place, room: Path) -> None:
    need(place, room)
    with ThreadPoolExecutor(2) as pool:
        outcomes = dict(zip(COMMANDS, pool.map(lambda name: Outcome(place, room, name), COMMANDS)))
    wrong = []
    for name, found in outcomes.items():
        check = EXPECTED[place.gives][name]
        if name == "record" and not place.can_write:
            check = records_or_says_why
        said = found.out + found.err
        trouble = f"a traceback: {said[-1500:]}" if "Traceback" in said else check(found)
        if trouble:
            wrong.append(f"{name}: {trouble}")
    assert not wrong, "\n".join(wrong)
