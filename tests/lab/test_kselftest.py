# SPDX-License-Identifier: MIT
"""The kernel selftest of lab/patches, built alone: it passes where walks find everything, and fails where they do not."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from lab import kselftest, source
from lab.cache import root
from lab.errors import LabError
from tests.harness import ROOT, need_programs, skip
from tests.lab.guests import REASONS, Run

pytestmark = pytest.mark.lab


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
    answer = subprocess.run([str(program)], capture_output=True, text=True, timeout=120, check=False)
    found = outcomes(answer.stdout)
    assert answer.returncode in (0, 4), answer.stdout[-3000:]
    assert len(found) == 46 and "not ok" not in found.values()
    # Huge pages, swap and ksmd are what a machine need not have.
    needy = re.compile(r"anon_rmap\.(huge|swapped|merged)_")
    assert all(found[name] == "ok" for name in found if name.endswith(".write") and not needy.match(name))


# Some variants need swap and ksmd, and change no setting.
WITH_SWAP_AND_KSM = """
echo 1 >/sys/kernel/mm/ksm/run
echo 64M >/sys/block/zram0/disksize && mkswap -q /dev/zram0 && swapon /dev/zram0 || exit 99
exec "$@"
"""


def test_walks_that_miss_lazy_vmas_fail_it(program: Path, guest: Run) -> None:
    """On the negative control, of which all else is that of the kernel on which it has to pass."""
    command = ("sh", "-c", WITH_SWAP_AND_KSM, "sh", f"/mnt/share/{program.name}")
    answer = guest("lab-blind", *command, options=["--share", str(program.parent)])
    found = outcomes(answer.stdout.decode())
    assert answer.returncode == 1 and "skip" not in found.values(), answer.stderr[-2000:]
    # The only lazy VMAs of the test: each of the other shapes and families has promoted it. None can be paged out.
    lazy = {"anon_rmap.anon_alone.migrate", "anon_rmap.huge_alone.migrate"}
    if "ksm" not in REASONS:
        lazy.add("anon_rmap.merged_alone.migrate")
    assert {name for name in found if found[name] == "not ok"} == lazy | {name for name in found if ".swapped_" in name}


def test_the_patch_goes_onto_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = source.tree("linux-source-7.3")
    if not place.is_dir():
        skip("lab-all", "the source of 7.3 is not unpacked; run: make lab KERNEL=lab73")
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
