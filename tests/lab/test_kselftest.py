# SPDX-License-Identifier: MIT
"""The kernel selftest of lab/patches, built alone: it passes where walks find everything, and fails where they do not."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import kselftest, source
from lab.cache import root
from lab.errors import LabError
from tests.harness import ROOT, need_programs, skip
from tests.lab.guests import Run

pytestmark = pytest.mark.lab

TESTS, QUESTIONS = 172, 4
MERGED = ("merged_alone", "merged_forked_before", "merged_grandchild", "merged_grandchild_eager")


@pytest.fixture
def program() -> Path:
    need_programs("gcc", feature="lab")
    if not any((root() / "tree").glob("linux-source-*")):
        skip("lab-source", "no kernel source is unpacked; run: make lab")
    return kselftest.program()


def outcomes(ktap: str) -> dict[str, str]:
    """{test: "ok", "not ok" or "skip"}; the plan has to fit."""
    (planned,) = re.findall(r"^1\.\.(\d+)$", ktap, re.M)
    lines = re.findall(r"^(not ok|ok) \d+ (\S+)( # SKIP)?", ktap, re.M)
    assert len(lines) == int(planned)
    return {name: "skip" if skipped else state for state, name, skipped in lines}


def test_it_is_taken_from_the_patch() -> None:
    text = kselftest.added_file(kselftest.PATCH.read_text(), "tools/testing/selftests/mm/ksft_anon_rmap.sh")
    assert text == "#!/bin/sh -e\n# SPDX-License-Identifier: GPL-2.0\n\n./run_vmtests.sh -t anon_rmap\n"
    with pytest.raises(LabError, match=r"does not add mm/rmap\.c"):
        kselftest.added_file(kselftest.PATCH.read_text(), "mm/rmap.c")


def test_it_passes_on_this_kernel_and_says_what_it_misses(program: Path) -> None:
    """The names are the same on every machine: what is missing is skipped."""
    # Without those of ksmd, which takes as long as there is memory to merge on the machine, of guests, say.
    without = [word for name in MERGED for word in ("-V", name)]
    command = [str(program), *without]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    found = outcomes(answer.stdout)
    assert answer.returncode in (0, 4), answer.stdout[-3000:]
    assert len(found) == TESTS - QUESTIONS * len(MERGED) and "not ok" not in found.values()
    assert answer.stdout.startswith("# ANON_RMAP_SEED=1\n")
    # Huge pages, swap, ksmd and userfaultfd are what a machine need not have.
    plain = re.compile(r"anon_rmap\.(anon|file|memfd)_\w+(?<!eager)\.write")
    assert all(found[name] == "ok" for name in found if plain.fullmatch(name))


def test_another_seed_has_the_same_tests(program: Path) -> None:
    command = [str(program), "-r", "anon_rmap.anon_grandchild.write", "-r", "anon_rmap.file_forked.write"]
    answer = subprocess.run(
        command, env={"ANON_RMAP_SEED": "12345"}, capture_output=True, text=True, timeout=120, check=False
    )
    assert answer.stdout.startswith("# ANON_RMAP_SEED=12345\n")
    assert set(outcomes(answer.stdout).values()) == {"ok"}


def test_settings_are_restored_when_it_is_killed(root: None, program: Path) -> None:
    setting = Path("/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled")
    before = setting.read_text() if setting.exists() else "[madvise]"
    if "[madvise]" in before:
        skip("kernel", "folios of 64 KiB cannot be had, or are on already")
    process = subprocess.Popen([str(program), "-r", "anon_rmap.mthp_parent_gone.write"], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: setting.read_text() != before)
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: setting.read_text() == before)


def wait_until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 100
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.001)


# Some variants need swap; the program sets the rest itself.
WITH_SWAP = """
echo 64M >/sys/block/zram0/disksize && mkswap -q /dev/zram0 && swapon /dev/zram0 || exit 99
exec "$@"
"""
# Whether a VMA is lazy there: each of the other shapes and families has promoted it. No page of it can be paged out.
ON_BLIND = {
    "anon_rmap.anon_alone.migrate": "not ok",
    "anon_rmap.anon_alone.page_out": "not ok",
    "anon_rmap.huge_alone.migrate": "not ok",
    "anon_rmap.swapped_alone.write": "not ok",
    "anon_rmap.anon_alone.write": "ok",
    "anon_rmap.anon_alone_eager.migrate": "ok",
    "anon_rmap.anon_forked.migrate": "ok",
    "anon_rmap.file_alone.migrate": "ok",
    "anon_rmap.huge_forked.migrate": "ok",
}


def test_walks_that_miss_lazy_vmas_fail_it(program: Path, guest: Run) -> None:
    """On the negative control, of which all else is that of the kernel on which it has to pass."""
    names = [word for name in ON_BLIND for word in ("-r", name)]
    command = ("sh", "-c", WITH_SWAP, "sh", f"/mnt/share/{program.name}", *names)
    answer = guest("lab-blind", *command, options=["--share", str(program.parent)])
    assert answer.returncode == 1, answer.stderr[-2000:]
    assert outcomes(answer.stdout.decode()) == ON_BLIND


# Without a rest it looks at each process within its life, of a second here.
BESIDE_KHUGEPAGED = """
cd /sys/kernel/mm/transparent_hugepage/khugepaged
echo 1 >scan_sleep_millisecs && echo 1 >alloc_sleep_millisecs && before=$(grep . *_millisecs max_*) || exit 99
"$@" || exit
[ "$before" = "$(grep . *_millisecs max_*)" ] || exit 98
"""


def test_khugepaged_does_not_fail_it(program: Path, guest: Run) -> None:
    """It copies the pages that processes share into a huge page of one of them."""
    names = ["anon_rmap.huge_forked.migrate", "anon_rmap.huge_parent_gone.migrate"]
    chosen = [word for name in names for word in ("-r", name)]
    command = ("sh", "-c", BESIDE_KHUGEPAGED, "sh", f"/mnt/share/{program.name}", *chosen)
    answer = guest("lab", *command, options=["--share", str(program.parent)])
    assert (answer.returncode, outcomes(answer.stdout.decode())) == (0, dict.fromkeys(names, "ok")), answer.stdout


def test_the_patch_goes_onto_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = source.tree("linux-source-7.3")
    if not place.is_dir():
        skip("lab-source", "the source of 7.3 is not unpacked; run: make lab")
    copy = tmp_path / "tree" / "linux"
    for name in source.touched([kselftest.PATCH]):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        if (place / name).exists():
            (copy / name).write_bytes((place / name).read_bytes())
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(tmp_path))
    source.apply_series(copy, [kselftest.PATCH], "of the cache")
    assert "./anon_rmap" in (copy / "tools/testing/selftests/mm/run_vmtests.sh").read_text()


def test_make_builds_it(program: Path) -> None:
    answer = subprocess.run(
        ["make", "-s", "-C", str(ROOT / "lab"), "kselftest"], capture_output=True, text=True, check=False
    )
    assert (answer.returncode, answer.stdout.strip()) == (0, str(program)), answer.stderr
