# SPDX-License-Identifier: MIT
"""Userlands and disks: what a root is made of, and what a guest without 9p gets and gives back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import apt, boot, disks, kernels, qemu, roots
from lab.errors import LabError
from tests.harness import need_programs

pytestmark = pytest.mark.lab


def test_every_root_can_be_made() -> None:
    for row in roots.table().values():
        assert row.suite in apt.SUITES
        assert {"python3", "base-passwd", "kmod"} <= set(row.packages)
        assert bool(row.bcc) == ("python3-bpfcc" in row.packages)
    for kernel in kernels.table().values():
        for name in filter(None, (kernel.root, *kernel.tour)):
            assert roots.named(name).arch == kernel.arch, kernel.name


def test_an_unknown_root_is_told_with_the_known_ones() -> None:
    with pytest.raises(LabError, match=r"no root named 'x'.*bookworm, bookworm-bare, trixie"):
        roots.named("x")


def test_a_missing_root_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(tmp_path))
    with pytest.raises(LabError, match="make lab ROOT=sid"):
        roots.folder(roots.named("sid"))


def test_wheels_are_those_of_setup_cfg() -> None:
    found = roots.requirements()
    assert any(line.startswith("numpy>=") for line in found)
    assert any(line.startswith("duckdb>=") for line in found)


def test_the_links_of_a_merged_usr_stay(tmp_path: Path) -> None:
    """Packages of Debian 12 have files in /lib; dpkg-deb -x makes a folder of the link."""
    need_programs("dpkg-deb", feature="lab")
    package = tmp_path / "package"
    for name in ("DEBIAN/control", "lib/module"):
        (package / name).parent.mkdir(parents=True)
        (package / name).write_text("Package: a\nVersion: 1\nArchitecture: all\nMaintainer: lab\nDescription: a\n")
    subprocess.run(["dpkg-deb", "-b", package, tmp_path / "a.deb"], check=True, capture_output=True)
    into = tmp_path / "root"
    (into / "usr/lib").mkdir(parents=True)
    (into / "lib").symlink_to("usr/lib")
    roots._unpack(tmp_path / "a.deb", into)
    assert (into / "lib").is_symlink() and (into / "usr/lib/module").exists()
    (tmp_path / "b.deb").write_bytes(b"no archive")
    with pytest.raises(LabError, match=r"b\.deb is damaged"):
        roots._unpack(tmp_path / "b.deb", into)


def test_what_a_userlands_scripts_would_have_done(tmp_path: Path) -> None:
    for name in ("usr/share/base-passwd", "etc", "usr/bin"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("passwd", "group"):
        (tmp_path / f"usr/share/base-passwd/{name}.master").write_text(name)
    roots._settle(tmp_path)
    assert (tmp_path / "etc/passwd").read_text() == "passwd"
    assert (tmp_path / "usr/bin/sh").readlink() == Path("dash")
    assert (tmp_path / "usr/local/bin/lazyobs").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("arch", "own", "asked", "nine_p", "found"),
    [
        ("amd64", "", None, True, None),
        ("amd64", "", "trixie", True, "trixie"),
        ("amd64", "bookworm", None, False, "bookworm"),
        ("arm64", "trixie-arm64", None, True, "trixie-arm64"),
        ("amd64", "", None, False, "lacks 9p"),
        ("arm64", "", None, True, "is for arm64"),
        ("arm64", "trixie-arm64", "sid", True, "is for arm64, root sid for amd64"),
    ],
)
def test_which_files_a_guest_has(
    arch: str, own: str, asked: str | None, nine_p: bool, found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "NATIVE", "amd64")
    row = kernels.Kernel("made", "debian", (), "mainline", "fentry", False, "", arch=arch, root=own)
    if found and " " in found:
        with pytest.raises(LabError, match=found):
            boot._userland(row, asked, nine_p)
    else:
        userland = boot._userland(row, asked, nine_p)
        assert (userland.name if userland else None) == found


@pytest.mark.parametrize(("config", "has"), [("CONFIG_9P_FS=m\n", True), ("# CONFIG_9P_FS is not set\n", False)])
def test_9p_is_asked_of_the_kernels_configuration(config: str, has: bool, tmp_path: Path) -> None:
    assert boot.has_9p(tmp_path)  # an image of one's own may have no configuration beside it
    (tmp_path / "config").write_text("# Linux\n" + config)
    assert boot.has_9p(tmp_path) is has


def test_the_checkout_is_what_git_would_take(tmp_path: Path) -> None:
    need_programs("git", feature="lab")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for name, text in ((".gitignore", "/out/\n"), ("new.py", "1"), ("out/big", "2")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert sorted(disks.checkout_files(tmp_path)) == [".gitignore", "new.py"]
    (tmp_path / ".git").rename(tmp_path / ".not-git")
    assert sorted(disks.checkout_files(tmp_path)) == [".gitignore", "new.py", "out/big"]


def test_a_share_on_a_disk_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_programs("mke2fs", "debugfs", feature="lab")
    for name in ("root/usr", "checkout", "share"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "root/usr/file").write_text("root")
    (tmp_path / "checkout/file").write_text("checkout")
    (tmp_path / "share/file").write_text("there")
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(tmp_path / "cache"))
    made = disks.Disks(tmp_path / "root", tmp_path / "checkout", tmp_path / "share")
    kept = made.root
    assert made.share
    (tmp_path / "new").write_text("from the guest")
    subprocess.run(
        ["debugfs", "-w", "-R", f"write {tmp_path / 'new'} new", made.share], check=True, capture_output=True
    )
    made.read_back()
    made.close()
    assert {path.name: path.read_text() for path in (tmp_path / "share").iterdir()} == {
        "file": "there",
        "new": "from the guest",
    }
    assert kept.exists() and not made.checkout.exists()
    again = disks.Disks(tmp_path / "root", tmp_path / "checkout", None)
    assert again.root == kept and again.share is None
    again.close()


def test_disks_instead_of_folders() -> None:
    machine = qemu.Machine(
        Path("/k"), Path("/i"), "c", arch="arm64", disks=(Path("/a,b"), Path("/c"), Path("/d")), cpu="max"
    )
    line = qemu.command_line(machine, 5, 6)
    assert line[0] == "qemu-system-aarch64" and line[line.index("-cpu") + 1] == "max"
    assert "-virtfs" not in line
    drives = [word for word in line if word.startswith("if=none")]
    assert ["readonly=on" in word for word in drives] == [True, True, False]
    assert "file=/a,,b," in drives[0]


def test_a_userland_and_the_checkout_by_9p() -> None:
    machine = qemu.Machine(Path("/k"), Path("/i"), "c", root="/r", checkout="/work")
    folders = [word for word in qemu.command_line(machine, 5, 6) if word.startswith("local,")]
    assert [word.split(",")[1:3] for word in folders] == [
        ["path=/r", "mount_tag=root"],
        ["path=/work", "mount_tag=checkout"],
    ]
    assert all(word.endswith("readonly=on") for word in folders)
