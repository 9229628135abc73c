# SPDX-License-Identifier: MIT
"""Debian packages, made with dpkg-deb from the wheel: ``python3 packages/deb/build.py WHEEL OUT [PACKAGE..]``.

``lazyobs`` has everything that a host needs, below /usr/lib/lazyobs. Of what it imports only lz4, which is compiled, is
Debian's; the rest are pure Python wheels of the versions in constraints.txt, because Debian 12 has neither a Textual nor
a tabulate that is new enough. So one package is for every release. ``lazyobs-analysis`` has what reads recordings
(pyarrow, DuckDB, SciPy); Debian has neither of the first two, and their wheels are compiled for one Python: there is one
for each release, whose Python is --python. ``lazyobs-lab`` has what builds and boots kernels in QEMU, for judge.

The same inputs give the same bytes: times are $SOURCE_DATE_EPOCH, or the wheel's.
"""

from __future__ import annotations

import argparse
import calendar
import configparser
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LIB = "usr/lib/lazyobs"
LAB = f"{LIB}/lazyobs/lab"
# Of who builds it, as for Debian's own tools.
MAINTAINER = f"{os.environ.get('DEBFULLNAME', 'lazyobs')} <{os.environ.get('DEBEMAIL', 'lazyobs@example.org')}>"
NOT_OURS = {"lz4", "psutil"}  # compiled: python3-lz4 is Debian's, and no module of the runtime imports psutil
PYTHONS = {"3.11": "deb12", "3.13": "deb13"}  # of Debian 12 and 13
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
_NO_MODULES = ("LICENSE*", "LICENCE*", "COPYING*", "NOTICE*", "AUTHORS*", "README*", "licenses", "entry_points.txt",
               "top_level.txt", "RECORD", "REQUESTED", "INSTALLER", "direct_url.json")  # fmt: skip


@dataclass(frozen=True)
class Package:
    """``fill`` puts the files into an empty tree; ``depends`` and the following are fields of the control file."""

    name: str
    architecture: str
    fill: Callable[[Path, argparse.Namespace], None]
    depends: str
    recommends: str
    summary: str
    about: str


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-compile"]
    subprocess.run([*command, *arguments], check=True, stdout=sys.stderr)


def requirements(extra: str = "") -> list[str]:
    """What setup.cfg asks for, without what Debian has."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    text = config["options.extras_require"][extra] if extra else config["options"]["install_requires"]
    lines = [line.strip() for line in text.splitlines() if line.strip() and "python_version" not in line]
    return [line for line in lines if re.split(r"[><=\[]", line)[0] not in NOT_OURS]


def fill_runtime(tree: Path, asked: argparse.Namespace) -> None:
    fill_host(tree, asked)
    shutil.move(tree / "usr/share/zsh/site-functions", tree / "usr/share/zsh/vendor-completions")  # as Debian has it
    put(tree, "DEBIAN/conffiles", "/etc/lazyobs/lazyobs.toml\n")
    put(tree, "usr/share/lintian/overrides/lazyobs", (HERE / "lintian-overrides").read_text())
    for script in ("postinst", "prerm", "postrm"):
        put(tree, f"DEBIAN/{script}", (HERE / script).read_text(), 0o755)


def fill_host(tree: Path, asked: argparse.Namespace) -> None:
    """What every distribution's package has, without the lab."""
    with tempfile.TemporaryDirectory() as scratch:
        pip("--no-deps", "--target", scratch, str(asked.wheel))
        (tree / LIB).mkdir(parents=True)
        shutil.rmtree(f"{scratch}/lazyobs/lab", ignore_errors=True)
        for example in large_examples(Path(scratch)):
            shutil.rmtree(example)
        shutil.move(f"{scratch}/lazyobs", tree / LIB / "lazyobs")
        shutil.copytree(f"{scratch}/share", tree / "usr/share")
    for page in (tree / "usr/share/man/man1").iterdir():
        packed(page)
    vendor = tree / LIB / "vendor"
    pure = ("--only-binary=:all:", "--platform", "any", "--implementation", "py", "--abi", "none")
    pip(
        *pure, "--python-version", "3.11", "-c", str(HERE / "constraints.txt"), "--target", str(vendor), *requirements()
    )
    tidy(vendor)
    put(tree, "usr/bin/lazyobs", (HERE / "lazyobs").read_text(), 0o755)
    systemd = ROOT / "systemd"
    unit = (systemd / "lazyobs.service").read_text().replace("/usr/local/bin/lazyobs", "/usr/bin/lazyobs")
    put(tree, "usr/lib/systemd/system/lazyobs.service", unit)
    put(tree, "usr/lib/systemd/system/lazyobs.socket", (systemd / "lazyobs.socket").read_text())
    put(tree, "usr/lib/sysusers.d/lazyobs.conf", (systemd / "lazyobs.sysusers").read_text())
    put(tree, "etc/lazyobs/lazyobs.toml", (systemd / "lazyobs.toml").read_text())


def large_examples(wheel: Path) -> list[Path]:
    """Of an unpacked wheel: recordings of half an hour and more, which those look at who have lazyobs-analysis."""
    return sorted((wheel / "lazyobs/share/examples").glob("*-7.3"))


def fill_lab(tree: Path, asked: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        pip("--no-deps", "--target", scratch, str(asked.wheel))
        (tree / LIB / "lazyobs").mkdir(parents=True)
        shutil.move(f"{scratch}/lazyobs/lab", tree / LAB)
    run = tree / LAB / "run"
    run.write_text("#!/usr/bin/python3 -I\n" + run.read_text().partition("\n")[2])
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/lazyobs-lab").symlink_to("../" + LAB.removeprefix("usr/") + "/run")
    put(tree, "usr/share/man/man1/lazyobs-lab.1", (HERE / "lazyobs-lab.1").read_text())
    packed(tree / "usr/share/man/man1/lazyobs-lab.1")
    put(tree, "usr/share/lintian/overrides/lazyobs-lab", (HERE / "lab.lintian-overrides").read_text())
    for script in ("postinst", "prerm"):
        put(tree, f"DEBIAN/{script}", (HERE / f"lab.{script}").read_text(), 0o755)


def fill_analysis(tree: Path, asked: argparse.Namespace) -> None:
    target = tree / LIB / "analysis"
    platform = [word for name in PLATFORMS for word in ("--platform", name)]
    options = ("--only-binary=:all:", "--implementation", "cp", "--python-version", asked.python, *platform)
    pip(*options, "-c", str(HERE / "constraints.txt"), "--target", str(target), *requirements("soak"))
    tidy(target)
    with tempfile.TemporaryDirectory() as scratch:
        pip("--no-deps", "--target", scratch, str(asked.wheel))
        for example in large_examples(Path(scratch)):
            shutil.copytree(example, tree / LIB / "lazyobs/share/examples" / example.name)
    for name in ("lz4", "tests", "plotly/package_data/datasets"):  # what Debian has, and what no command uses
        shutil.rmtree(target / name, ignore_errors=True)
    put(tree, "usr/share/lintian/overrides/lazyobs-analysis", (HERE / "analysis.lintian-overrides").read_text())
    for script in ("postinst", "prerm"):
        put(tree, f"DEBIAN/{script}", (HERE / f"analysis.{script}").read_text(), 0o755)


def tidy(folder: Path) -> None:
    """Without what is no module: programs, and licences, which are in usr/share/doc. A module is not executed."""
    for name in ("bin", "share"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for pattern in _NO_MODULES:
        for found in list(folder.rglob(pattern)):
            if found.is_dir() and "dist-info" in str(found):
                shutil.rmtree(found)
            elif found.is_file():
                found.unlink()
    for place in folder.rglob("*"):
        if place.is_file():
            place.chmod(0o644)
            if place.suffix == ".py" and (content := place.read_bytes()).startswith(b"#!"):
                place.write_bytes(content.partition(b"\n")[2])


def put(tree: Path, name: str, text: str, mode: int = 0o644) -> None:
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text(text)
    (tree / name).chmod(mode)


def packed(file: Path) -> None:
    """As gzip -9n."""
    file.with_name(file.name + ".gz").write_bytes(gzip.compress(file.read_bytes(), 9, mtime=0))
    file.unlink()


def version(wheel: Path) -> str:
    return wheel.name.split("-")[1]


def build(package: Package, asked: argparse.Namespace, epoch: int) -> Path:
    """The finished package."""
    number = version(asked.wheel)
    if package.architecture != "all":
        number += f"~{PYTHONS[asked.python]}u1"
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch, "tree")
        tree.mkdir()
        package.fill(tree, asked)
        document(tree, package, number, epoch)
        control(tree, package, number, asked)
        settle(tree, epoch)
        made = asked.out / f"{package.name}_{number}_{package.architecture}.deb"
        level = "-z6" if package.architecture == "all" else "-z1"  # half a gigabyte takes minutes
        command = ["dpkg-deb", "--root-owner-group", "-Zxz", level, "--build", str(tree), str(made)]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return made


def document(tree: Path, package: Package, number: str, epoch: int) -> None:
    folder = f"usr/share/doc/{package.name}"
    put(tree, f"{folder}/copyright", (HERE / "copyright").read_text())
    entry = f"{package.name} ({number}) unstable; urgency=medium\n\n  * The changes are in CHANGELOG.md of lazyobs.\n"
    put(tree, f"{folder}/changelog", f"{entry}\n -- {MAINTAINER}  {formatdate(epoch)}\n")
    packed(tree / folder / "changelog")
    readme = HERE / f"{package.name}.README.Debian"
    if readme.is_file():
        put(tree, f"{folder}/README.Debian", readme.read_text())


def control(tree: Path, package: Package, number: str, asked: argparse.Namespace) -> None:
    found = (place for place in sorted(tree.rglob("*")) if place.is_file() and not place.is_symlink())
    files = [place for place in found if "DEBIAN" not in place.parts[-2:-1]]
    size = sum(-(-place.stat().st_size // 1024) for place in files)
    fields = {
        "Package": package.name,
        "Version": number,
        "Architecture": package.architecture,
        "Maintainer": MAINTAINER,
        "Installed-Size": str(size),
        "Depends": package.depends.format(version=version(asked.wheel), python=asked.python, next=_next(asked.python)),
        "Recommends": package.recommends,
        "Section": "admin",
        "Priority": "optional",
        "Description": package.summary + "".join(f"\n {line}" for line in package.about.splitlines()),
    }
    put(tree, "DEBIAN/control", "".join(f"{name}: {value}\n" for name, value in fields.items() if value))
    sums = "".join(f"{hashlib.md5(place.read_bytes()).hexdigest()}  {place.relative_to(tree)}\n" for place in files)  # noqa: S324
    put(tree, "DEBIAN/md5sums", sums)


def _next(python: str) -> str:
    major, minor = python.split(".")
    return f"{major}.{int(minor) + 1}"


def settle(tree: Path, epoch: int) -> None:
    """The same modes and times, whatever the umask and the hour."""
    for place in (tree, *tree.rglob("*")):
        if place.is_dir():
            place.chmod(0o755)
        elif "DEBIAN" not in place.parts[-2:-1] and not place.is_symlink():
            place.chmod(0o755 if place in (tree / "usr/bin/lazyobs", tree / LAB / "run") else 0o644)
        os.utime(place, (epoch, epoch), follow_symlinks=False)


def epoch(wheel: Path) -> int:
    """When the wheel was made, to two seconds: the same wheel gives the same package, whatever the checkout is at."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    with zipfile.ZipFile(wheel) as archive:
        return calendar.timegm(max(member.date_time for member in archive.infolist()))


_ABOUT = """\
Shows what anonymous reverse mapping costs on the running kernel, what lazy
anon_vmas save or would save, and whether they behave: in a terminal, as
Prometheus metrics, or as a recording of days.
.
BPF probes count exactly and cheaply enough to leave on. They come compiled,
for every kernel with BTF; a process without privileges reads them."""

PACKAGES = {
    "lazyobs": Package(
        "lazyobs",
        "all",
        fill_runtime,
        "python3 (>= 3.11), python3:any, python3-lz4, adduser",
        "",
        "cost of anonymous reverse mapping on a live kernel",
        _ABOUT,
    ),
    "lazyobs-analysis": Package(
        "lazyobs-analysis",
        "amd64",
        fill_analysis,
        "lazyobs (>= {version}), python3 (>= {python}), python3 (<< {next}), libc6 (>= 2.28), libgcc-s1, libstdc++6 (>= 6),"
        " zlib1g",
        "",
        "verdicts on recordings of lazyobs",
        'What "lazyobs report", "lazyobs compare" and --replay take: pyarrow, DuckDB,\n'
        "SciPy and plotly. A host that is only watched does without it.",
    ),
    "lazyobs-lab": Package(
        "lazyobs-lab",
        "all",
        fill_lab,
        "lazyobs (= {version}), python3 (>= 3.11), python3:any, qemu-system-x86, seabios, gcc, libc6-dev, kmod,"
        " xz-utils, zstd, e2fsprogs",
        "lazyobs-analysis, make, ccache, flex, bison, bc, patch, dwarves, cpio, lz4, libelf-dev, libssl-dev",
        "kernels of lazyobs, built and booted in QEMU",
        'What "lazyobs judge" takes: it builds a kernel patch series and its base,\n'
        "tests and measures both in QEMU, and writes a letter. lazyobs-lab boots a\n"
        "kernel with this machine's files, read-only, and runs one command in it.",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default="3.11", help="for packages with compiled modules, one of each: 3.11,3.13")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("packages", nargs="*", choices=[*PACKAGES, []], help="all of them by default")
    asked = parser.parse_args()
    pythons = asked.python.split(",")
    if unknown := set(pythons) - PYTHONS.keys():
        parser.error(f"--python: no Debian has {', '.join(sorted(unknown))}; there are {', '.join(PYTHONS)}")
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in asked.packages or PACKAGES:
        for asked.python in pythons if PACKAGES[name].architecture != "all" else pythons[:1]:
            print(build(PACKAGES[name], asked, epoch(asked.wheel)), flush=True)


if __name__ == "__main__":
    main()
