# SPDX-License-Identifier: MIT
"""The table of kernels, what is derived from it, and what is told to QEMU."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import build, configure, docs, kernels, packages, qemu
from lab.errors import LabError
from tests.harness import ROOT

pytestmark = pytest.mark.lab


def test_every_row_can_be_made() -> None:
    for row in kernels.table().values():
        assert row.kind in ("debian", "built")
        assert row.tier in ("fentry", "kprobe", "tracepoint", "procfs")
        assert row.packages
        assert bool(row.no_tour) != bool(row.tour), f"{row.name}: a tour, or why there is none"
        assert row.arch in packages.BOOT_TOOLS and row.arch in build.TARGETS and row.arch in qemu.HARDWARE
        for path in row.patch_files() + row.fragment_files():
            assert path.is_file(), path
    used = {name for row in kernels.table().values() for name in row.patches}
    selftests = {path.name for path in (ROOT / "lab/patches").glob("selftests-*.patch")}
    assert used == {path.name for path in (ROOT / "lab/patches").glob("*.patch")} - selftests


def test_rows_inherit(tmp_path: Path) -> None:
    table = tmp_path / "kernels.toml"
    table.write_text("""
[kernel.one]
kind = "built"
packages = ["p"]
fragments = ["a"]
profile = "x"
tier = "fentry"
ci = true
about = "first"
[kernel."two.1"]
like = "one"
cmdline = "c"
about = "second"
""")
    one, two = kernels.table(table).values()
    assert (two.name, two.fragments, two.cmdline, two.about) == ("two.1", ("a",), "c", "second")
    assert (one.cmdline, one.about) == ("", "first")


def test_an_unknown_kernel_is_told_with_the_known_ones() -> None:
    with pytest.raises(LabError, match=r"no kernel named 'x'.*debian-6\.1, .*lab-debug"):
        kernels.kernel("x")


def test_variants_that_differ_in_the_command_line_share_an_image() -> None:
    rows = kernels.table()
    images = {name: build.image_folder(row, "1").name for name, row in rows.items()}
    assert len({images[f"lab{what}"] for what in ("", "-nomerge", "-lockdown", "-faulty", "-blind")}) == 1
    made_of = {(row.arch, row.suite, row.packages, row.patches, row.fragments) for row in rows.values()}
    assert len(set(images.values())) == len(made_of)


def test_an_image_is_found_by_what_it_is_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its row was called when it was made."""
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(tmp_path))
    monkeypatch.setattr(packages, "find", lambda *_: ("p", "1"))
    row = kernels.kernel("lab-nobtf")
    made = tmp_path / "images" / f"once-{build._inputs(row)}-1"
    made.mkdir(parents=True)
    assert build.image_folder(row, "1") == build.image(row) == made
    with pytest.raises(LabError, match="kernel lab is not built"):
        build.image(kernels.kernel("lab"))


def test_a_missing_image_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(tmp_path))
    monkeypatch.setattr(packages, "find", lambda *_: ("p", "1"))
    with pytest.raises(LabError, match="make lab KERNEL=lab-nobtf"):
        build.image(kernels.kernel("lab-nobtf"))


def test_configuration_that_was_not_honoured(tmp_path: Path) -> None:
    (tmp_path / "fragment").write_text("# why\nCONFIG_A=y\nCONFIG_B=n\nCONFIG_C=n\nCONFIG_D=y\n")
    (tmp_path / "more").write_text("CONFIG_D=n\n")
    (tmp_path / "config").write_text("CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=y\n")
    assert configure.unmet(tmp_path / "config", [tmp_path / "fragment", tmp_path / "more"]) == ["CONFIG_C=n"]


def test_the_document_is_current() -> None:
    assert docs.PAGE.read_text() == docs.page(), "run: python3 -m lab.docs"


def test_machine() -> None:
    machine = qemu.Machine(Path("/k"), Path("/i"), "quiet", cpus=3, memory=1000, nodes=2, share="/a,b")
    line = qemu.command_line(machine, 5, 6)
    assert "4,sockets=2" in line  # nodes have the same number of CPUs
    assert "node,nodeid=1,cpus=2-3,memdev=ram1" in line
    assert any(word.startswith("local,path=/a,,b,mount_tag=share") and "readonly" not in word for word in line)
    assert any(word.startswith("local,path=/,mount_tag=root") and word.endswith("readonly=on") for word in line)
