# SPDX-License-Identifier: MIT
"""``make lab``: makes the image of a kernel, where it does not exist yet."""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import apt, packages, roots
from .cache import content_hash, locked, made_once, root, way_to_build
from .configure import configure
from .errors import LabError, reports_errors
from .kernels import Kernel, default_name, kernel, table
from .source import apply_series, objects, unpack

#: Part of every content hash: raise it when a change of the build changes its output.
RECIPE = "2"


@dataclass(frozen=True)
class Target:
    """What make is given for an architecture, beside the compiler, and the image that it makes."""

    words: tuple[str, ...]
    image: str


TARGETS = {
    "amd64": Target((), "arch/x86/boot/bzImage"),
    "arm64": Target(("ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"), "arch/arm64/boot/Image"),
}


def _inputs(row: Kernel) -> str:
    where = [row.suite, row.arch, row.release] if row.suite else []
    return content_hash([RECIPE, row.kind, *row.packages, *where, *row.patch_files(), *row.fragment_files()])


def _image_name(row: Kernel) -> str:
    """Name of the first kernel of the table with the same inputs: rows that differ in ``cmdline`` alone share an image."""
    return next((other.name for other in table().values() if _inputs(other) == _inputs(row)), row.name)


def image_folder(row: Kernel, version: str) -> Path:
    """Where the image is, or will be: the one there with these inputs, whatever name its row had when it was made."""
    key = f"{_inputs(row)}-{version.replace('~', '-')}"
    images = root() / "images"
    return next(iter(sorted(images.glob(f"*-{key}"))), images / f"{_image_name(row)}-{key}")


def _found(row: Kernel) -> tuple[str, str]:
    return packages.find(row.packages, row.release, row.suite, row.arch)


def image(row: Kernel) -> Path:
    """The finished image of a kernel: of the present package version, else the newest of another."""
    try:
        found = image_folder(row, _found(row)[1])
        if found.is_dir():
            return found
    except LabError:
        pass
    made = sorted((root() / "images").glob(f"*-{_inputs(row)}-*"), key=lambda path: path.stat().st_mtime)
    if not made:
        raise LabError(f"kernel {row.name} is not built; {way_to_build(row.name)}")
    return made[-1]


def _say(text: str) -> None:
    print(f"lab: {text}", file=sys.stderr, flush=True)


#: The build must not depend on the user, nor on a make that called us.
_BUILD_ENV = {"KBUILD_BUILD_USER": "lazyobs", "KBUILD_BUILD_HOST": "lab", "KBUILD_BUILD_VERSION": "1"}
_NOT_OURS = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "KERNEL", "LOCALVERSION")


def _run(command: Sequence[str], log: Path, what: str) -> None:
    env = {k: v for k, v in os.environ.items() if k not in _NOT_OURS}
    env.update(_BUILD_ENV)
    # a changed option rebuilds all that includes it; most objects come out the same
    env.update(CCACHE_DIR=str(root() / "ccache"), CCACHE_MAXSIZE="2G")
    with open(log, "a") as out:
        result = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env)
    if result.returncode:
        lines = log.read_text(errors="replace").splitlines()
        errors = [line for line in lines if "error:" in line or "Error " in line]
        raise LabError(f"{what} failed; the whole output is in {log}", "\n".join((errors or lines)[-12:]))


def _refuse(refused: list[str]) -> None:
    if refused:
        raise LabError(
            f"the kernel's configuration refused {', '.join(refused)}; "
            "a dependency is missing: fix the fragments in lab/config"
        )


def _build(row: Kernel, package: str, version: str, folder: Path) -> None:
    packages.ensure((*packages.BUILD_TOOLS, *packages.BOOT_TOOLS[row.arch]))
    with locked("build"):
        source, built, target = unpack(package, version, row.suite), objects(package, row.arch), TARGETS[row.arch]
        apply_series(source, row.patch_files(), version)
        built.mkdir(parents=True, exist_ok=True)
        log = root() / f"build-{row.name}.log"
        log.write_text("")

        def command(folder: Path) -> list[str]:
            words = (*target.words, f"CC=ccache {packages.COMPILERS[row.arch]}")
            return ["make", "-s", "-C", str(source), f"O={folder}", f"-j{os.cpu_count() or 1}", *words]

        configure(
            source, built, row.fragment_files(), command, lambda words: _run(words, log, "its configuration"), _refuse
        )
        make = command(built)
        _say(f"building {row.name} ({package} {version}); output in {log}")
        _run([*make, "olddefconfig"], log, "olddefconfig")
        _run([*make, Path(target.image).name], log, f"the build of {row.name}")
        shutil.copy(built / target.image, folder / "vmlinuz")
        shutil.copy(built / ".config", folder / "config")
        shutil.copy(built / "System.map", folder / "System.map")


def _one_of(files: Path, name: str) -> Path | None:
    """The vmlinuz, config or System.map of a kernel's packages: in /boot, or beside its modules from 6.19 on."""
    places = [files / "boot", *(files / "lib/modules").glob("*"), *(files / "usr/lib/modules").glob("*")]
    for place in places:
        for path in (*sorted(place.glob(f"{name}-*")), place / name):
            if path.is_file():
                return path
    return None


def _arrange(files: Path, folder: Path, package: str) -> str:
    """Moves a kernel's files to where the lab looks for them; returns its release."""
    for what in ("vmlinuz", "config", "System.map"):
        path = _one_of(files, what)
        if path:
            shutil.copy(path, folder / what)
    if not (folder / "vmlinuz").exists():
        raise LabError(f"{package} has no vmlinuz where the lab looks for it; tell lab/build.py where it is")
    # /lib is a link to /usr/lib in newer packages
    for modules in (files / "lib/modules", files / "usr/lib/modules"):
        releases = [path for path in modules.glob("*") if (path / "kernel").is_dir()]
        if releases:
            shutil.move(str(modules), str(folder / "modules"))
            return releases[0].name
    raise LabError(f"{package} comes without modules, and without them it has no disk and no console; choose another")


def _unpack_debian(row: Kernel, package: str, version: str, folder: Path) -> None:
    packages.ensure(packages.UNPACK_TOOLS)
    files = packages.fetch(package, version, row.suite, row.arch)
    release = _arrange(files, folder, package)
    shutil.rmtree(files)
    base = folder / "modprobe"  # what modprobe -d takes
    (base / "lib").mkdir(parents=True)
    (base / "lib/modules").symlink_to("../../modules")
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    subprocess.run(["depmod", "-b", str(base), release], check=True, env={**os.environ, "PATH": path})


def make_image(row: Kernel) -> Path:
    """The image of a kernel, made when it is not there yet."""
    apt.of(row.suite, row.arch).update()
    package, version = _found(row)

    def make(folder: Path) -> None:
        began = time.monotonic()
        if row.kind == "built":
            _build(row, package, version, folder)
        else:
            _say(f"unpacking {package} {version}")
            _unpack_debian(row, package, version, folder)
        _say(f"{row.name} is ready after {time.monotonic() - began:.0f} s")

    target = image_folder(row, version)
    if target.is_dir():
        return target
    with locked(target.name):  # a second caller waits, and finds it there
        return made_once(target, make)


def ready(row: Kernel) -> Path:
    """As ``make_image``, with the tools that building and booting it take."""
    packages.ensure(packages.BOOT_TOOLS[row.arch])
    return make_image(row)


@reports_errors
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make lab KERNEL=NAME", description=__doc__)
    parser.add_argument("names", nargs="*", help="kernels of lab/kernels.toml; ci: what CI boots; tour: what has one")
    parser.add_argument("--root", action="append", default=[], help="a userland of lab/roots.toml; 'ci' for CI's")
    options = parser.parse_args(arguments)
    names = options.names or ([] if options.root else [default_name()])
    if names == ["ci"]:
        # Those that need a userland, a gigabyte each, are built and tried by make lab-kernels.
        names = [row.name for row in table().values() if row.ci and not row.root]
    elif names == ["tour"]:
        names = [row.name for row in table().values() if row.tour]
    rows = [kernel(name) for name in names]
    wanted = [row for row in roots.table().values() if row.ci] if options.root == ["ci"] else []
    wanted = wanted or [roots.named(name) for name in options.root]
    if options.names != ["ci"]:
        wanted += [roots.named(name) for row in rows for name in row.tour if name]
    wanted += [roots.named(row.root) for row in rows if row.root]
    for arch in {row.arch for row in rows} | {"amd64"}:
        packages.ensure(packages.BOOT_TOOLS[arch])
    # a root is mostly a wait for the network, an image mostly work for the CPUs
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(roots.made, list(dict.fromkeys(wanted)))
        for row in rows:
            print(f"{row.name}: {make_image(row)}")
        waiting.result()
    return 0


if __name__ == "__main__":
    sys.exit(main())
