# SPDX-License-Identifier: MIT
"""A boot that the emulator spoilt is repeated; after three there is no answer, and not a bad one."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from lazyobs.errors import NotSupported
from lazyobs.judge import boots, checks, lab, measure, vma_tests
from lazyobs.judge.progress import Progress
from lazyobs.judge.run import _document
from lazyobs.judge.trial import Trial
from tests.harness import need_programs
from tests.judge.folders import boot, folder

OOPS = "[  1.0] Oops: int3: 0000 [#1]\n[  1.0] Code: e9 <a7> 00 00 00\n"


@pytest.fixture
def spoilt(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many of the next boots the emulator breaks: the machine is not there, what is said of it is real."""
    left = [0]

    def run(guest: lab.guest.Guest, cwd: str, command: list[str], environment: list[str]) -> int | None:
        broken = left[0] > 0
        left[0] -= 1
        guest._console += OOPS.encode() if broken else b"[  1.0] all well\n"
        guest._stdout.write(b"said\n")
        guest.failure = "died during the command: Oops: int3: 0000 [#1]" if broken else ""
        return None if broken else 7

    monkeypatch.setattr(lab.guest.Guest, "run", run)
    monkeypatch.setattr(lab.accel, "accelerator", lambda machine: "tcg")
    monkeypatch.setattr(boots, "_initramfs", lambda image: image / "initramfs")
    return left


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_boot_that_says_something_counts(spoilt: list[int], tmp_path: Path, number: int) -> None:
    spoilt[0] = number
    done = boots.boot(tmp_path, boots.Job(("true",), 1), tmp_path)
    assert (done.status, done.failure, done.splats, done.output) == (7, "", (), "said\n")
    assert spoilt[0] == -1


def test_three_in_a_row_are_no_answer(spoilt: list[int], tmp_path: Path) -> None:
    spoilt[0] = 3
    with pytest.raises(NotSupported, match="the emulator failed 3 times"):
        boots.boot(tmp_path, boots.Job(("true",), 1), tmp_path)
    assert spoilt[0] == 0


def test_where_the_emulator_counts_instructions_the_kernel_is_blamed(spoilt: list[int], tmp_path: Path) -> None:
    """One thread translates there for all CPUs: no translation can be stale."""
    spoilt[0] = 1
    said: dict[str, Any] = {"counts": True}
    done = boots.boot(tmp_path, boots.Job(("true",), 1, **said), tmp_path)
    assert done.status is None and "Oops: int3" in done.failure


# A kernel in the eyes of the firmware: its setup code, at the second sector, jumps to itself for ever.
HANGS = bytearray(1024 + 512)
HANGS[0x1F1] = 1  # sectors of setup code
HANGS[0x1FE:0x200] = b"\x55\xaa"
HANGS[0x200:0x206] = b"\xeb\xfeHdrS"
HANGS[0x206:0x208] = b"\x02\x02"


def test_a_kernel_that_hangs_in_boot_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real machine, on which nothing happens; no process and no file is left of it."""
    need_programs("qemu-system-x86_64", "gcc", feature="lab")
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(tmp_path / "lab"))
    monkeypatch.setitem(checks._SECONDS, "plain", 7.0)
    image = tmp_path / "image"
    image.mkdir()
    (image / "vmlinuz").write_bytes(HANGS)
    found = folder(tmp_path / "out")
    share = tmp_path / "share"
    share.mkdir()
    Trial(found, {"new-plain": image}, share, Progress(), 7200.0, ("plain",)).check(["new"])
    (arm,) = _document(found)["arms"]
    assert arm["said"] == "boot, plain: the kernel did not come up in 7 s (--timeout)"
    assert list(share.iterdir()) == []
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(image).encode() in _content(path)]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_what_a_guest_says_is_bounded(tmp_path: Path) -> None:
    """It runs an unknown kernel. A document of more than 1 MiB could be written, and not be read again."""
    many = {f"f{number}": number for number in range(100_000)}
    lines: list[dict[str, Any]] = [{"begin": "boot" * 100_000}, *({"note": "x" * 1000} for _ in range(5000))]
    lines += [{"step": "boot", "outcome": "pass", "hits": many, "why": "x" * 5000}] * 20
    lines += [{"step": "boot", "outcome": "fail", "numbers": {"a": float("nan")}}, {"step": "moves", "outcome": "pass", "seconds": 10**400}]  # fmt: skip
    deep = '{"step": "leak", "outcome": "pass", "numbers": ' + '{"a": ' * 500 + "1" + "}" * 501
    found = checks.document(boot(output="\n".join([*map(json.dumps, lines), deep])), ("boot", "moves", "leak"))
    assert [(row["step"], row["outcome"]) for row in found["results"]] == [("boot", "pass")]
    place = folder(tmp_path)
    place.add_boot("new-plain-checks", {"arm": "new", "kind": "checks", "flavour": "plain", "number": 1, "seconds": 1, **found}, "")  # fmt: skip
    assert (tmp_path / "boots/new-plain-checks.json").stat().st_size < 100_000
    assert place.boots()["new-plain-checks"]["results"][0]["hits"]["f59"] == 59
    names = ["".join(letters) for letters in itertools.product("abcdefghij", repeat=5)]
    printed = "begin\n" + "".join(f"cost {name} 1\n" for name in names) + "share fork 1 2\ndone\n"
    assert len(json.dumps(measure.document(boot(output=printed)))) < 20_000
    assert vma_tests._COUNTS.search(f"{'9' * 5000} tests run, 1 passed, 1 failed.") is None
