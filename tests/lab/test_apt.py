# SPDX-License-Identifier: MIT
"""The lab's own apt, on a repository made here: kernels whole and in parts, and the machine's apt left alone."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import apt, build, kernels, packages
from lab.errors import LabError
from tests.harness import need_programs

pytestmark = pytest.mark.lab

OLD, NEW = "6.12.9-amd64", "7.3.4-amd64"
MODULE = "usr/lib/modules/{0}/kernel/9p.ko"
#: Package: (what it depends on, its files), in the shapes that Debian's have.
PACKAGES = {
    "linux-base": ("", {"usr/share/doc/linux-base/copyright": "none"}),
    "linux-image-old": (f"linux-image-{OLD} (= 1)", {}),
    f"linux-image-{OLD}": (
        "linux-base (>= 1)",
        {f"boot/vmlinuz-{OLD}": "old", f"boot/config-{OLD}": "CONFIG_A=y\n", MODULE.format(OLD): "m"},
    ),
    # from 6.19 on: another package comes first, and the files are in three
    "linux-image-new": (f"linux-base, linux-image-{NEW} (= 1)", {}),
    f"linux-image-{NEW}": (f"linux-base-{NEW} (= 1), linux-binary-{NEW} (= 1), linux-modules-{NEW} (= 1)", {}),
    f"linux-base-{NEW}": ("linux-base (>= 1)", {f"usr/lib/modules/{NEW}/config": "CONFIG_B=y\n"}),
    f"linux-binary-{NEW}": (f"linux-base-{NEW} (= 1)", {f"usr/lib/modules/{NEW}/vmlinuz": "new"}),
    f"linux-modules-{NEW}": (f"linux-base-{NEW} (= 1)", {MODULE.format(NEW): "m"}),
    "linux-image-bare": ("", {"boot/vmlinuz-8": "bare"}),
}


def _deb(folder: Path, name: str) -> str:
    """Builds a package; returns its entry in Packages."""
    depends, files = PACKAGES[name]
    tree = folder / name
    (tree / "DEBIAN").mkdir(parents=True)
    fields = {"Package": name, "Version": "1", "Architecture": "amd64", "Maintainer": "lab", "Description": "made"}
    if depends:
        fields["Depends"] = depends
    control = "".join(f"{key}: {value}\n" for key, value in fields.items())
    (tree / "DEBIAN/control").write_text(control)
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    deb = folder / f"{name}.deb"
    subprocess.run(["dpkg-deb", "-Znone", "--root-owner-group", "-b", tree, deb], check=True, capture_output=True)
    data = deb.read_bytes()
    return f"{control}Filename: ./{deb.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_programs("apt-get", "dpkg-deb", "depmod", feature="lab")
    folder = tmp_path_factory.mktemp("repository")
    (folder / "Packages").write_text("\n".join(_deb(folder, name) for name in PACKAGES))
    return folder


@pytest.fixture
def suite(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> apt.Apt:
    """The made repository as the suite sid, in a cache of its own; the environment names a configuration of apt."""
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(tmp_path / "cache"))
    misleading = tmp_path / "apt.conf"
    misleading.write_text('Dir::Etc::sourcelist "/nonesuch"; Dir::State::lists "/nonesuch";\n')
    monkeypatch.setenv("APT_CONFIG", str(misleading))
    monkeypatch.setattr(apt, "sources", lambda _suite: [f"deb [trusted=yes] copy:{repository} ./"])
    found = apt.Apt("sid")
    found.update()
    return found


def _row(package: str, release: str) -> kernels.Kernel:
    return kernels.Kernel(
        "made", "debian", (package,), "mainline", "fentry", False, "", release=release, suite="sid"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("package", "release", "name", "vmlinuz", "config"),
    [
        ("linux-image-old", "6.12", f"linux-image-{OLD}", "old", "CONFIG_A=y\n"),
        ("linux-image-new", "7.3", f"linux-image-{NEW}", "new", "CONFIG_B=y\n"),
    ],
)
def test_a_kernel_is_found_whole_or_in_parts(
    suite: apt.Apt, package: str, release: str, name: str, vmlinuz: str, config: str
) -> None:
    row = _row(package, release)
    assert packages.find(row.packages, release, "sid") == (name, "1")
    image = build.make_image(row)
    assert build.image(row) == image
    assert (image / "vmlinuz").read_text() == vmlinuz
    assert (image / "config").read_text() == config
    kernel = name.removeprefix("linux-image-")
    assert (image / "modules" / kernel / "kernel/9p.ko").read_text() == "m"
    assert (image / "modules" / kernel / "modules.dep").exists()


def test_a_release_is_not_another_that_begins_so(suite: apt.Apt) -> None:
    with pytest.raises(LabError, match=r"linux-image-old of release 6\.1 in sid \(amd64\)"):
        packages.find(["linux-image-old"], "6.1", "sid")
    for name, release, is_it in (
        ("linux-image-6.1.0-56-amd64", "6.1", True),
        ("linux-image-6.12.117+deb12-amd64", "6.1", False),
        ("linux-image-6.12.117+deb12-amd64", "6.12", True),
        ("linux-image-16.1-amd64", "6.1", False),
        ("linux-image-7.3.4+deb13-rt-amd64", "7.3", True),
    ):
        assert packages.is_release(name, release) is is_it, name


def test_a_kernel_without_modules_is_refused(suite: apt.Apt) -> None:
    with pytest.raises(LabError, match="linux-image-bare comes without modules"):
        build.make_image(_row("linux-image-bare", ""))


def test_a_package_and_all_it_needs(suite: apt.Apt) -> None:
    found = {path.name.split("_")[0] for path in suite.with_dependencies([f"linux-modules-{NEW}"])}
    assert found == {"linux-base", f"linux-base-{NEW}", f"linux-modules-{NEW}"}


def test_lists_that_were_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(tmp_path))
    with pytest.raises(LabError, match="never read; run: make lab"):
        packages.find(["linux-image-amd64"], "7.3", "sid")


def test_what_the_machine_installs_comes_from_its_own_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """APT_CONFIG, which a build may run under, must not decide what is installed on the machine."""
    program = tmp_path / "apt-get"
    program.write_text('#!/bin/sh\necho "$APT_CONFIG|$*" > "$(dirname "$0")/seen"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("APT_CONFIG", "/some/apt.conf")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    packages.ensure([("nonesuch-tool", "nonesuch-package")])
    assert (tmp_path / "seen").read_text() == "|install -y --no-install-recommends nonesuch-package\n"


@pytest.mark.parametrize(
    ("targets", "main", "security"),
    [
        (
            "nodistro http://n/\nbookworm http://d/debian/\nbookworm-security http://d/s/\n",
            "http://d/debian/",
            "http://d/s/",
        ),
        ("trixie-updates http://d/debian/\n", "http://d/debian/", "http://d/debian-security/"),
    ],
)
def test_the_mirror_is_the_machines(
    targets: str, main: str, security: str, monkeypatch: pytest.MonkeyPatch, run_says: Callable[[str], None]
) -> None:
    run_says(targets)
    assert apt.mirrors() == (main, security)


def test_a_machine_without_a_mirror_of_debian(run_says: Callable[[str], None]) -> None:
    run_says("jammy http://u/ubuntu/\n")
    with pytest.raises(LabError, match="name no Debian mirror"):
        apt.mirrors()


@pytest.fixture
def run_says(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """run_says(TEXT): what every command of apt answers."""

    def say(text: str) -> None:
        done = subprocess.CompletedProcess([], 0, text)
        monkeypatch.setattr(apt, "_run", lambda *_: done)

    return say
