# SPDX-License-Identifier: MIT
"""The kernel's own selftests of the anonymous reverse map, built from its source as they are there."""

from __future__ import annotations

import subprocess
from pathlib import Path

from . import packages
from .cache import content_hash, made_once, root
from .errors import LabError
from .source import tree

#: Programs of tools/testing/selftests/mm, built without a change but for those of ``_SHORTER``.
OWN = ("rmap", "merge", "migration", "ksm_functional_tests", "split_huge_page_test", "cow")
SOURCE = "linux-source-7.3"
#: migration.c moves pages for 20 s in each of its tests; a walk that fails at all fails at once.
_SHORTER = {"migration": ("#define RUNTIME\t\t(20)", "#define RUNTIME\t\t(5)")}
_FLAGS = ("-O2", "-w", "-U_FORTIFY_SOURCE", "-static")
_LIBNUMA = ("libnuma-dev",)
#: What they are linked with, as far as a tree has it.
_PARTS = ("vm_util.c", "hugepage_settings.c", "thp_settings.c")


def _place() -> Path:
    place = tree(SOURCE) / "tools/testing/selftests/mm"
    if not place.is_dir():
        raise LabError("the source of 7.3 is not unpacked; run: make lab")
    return place


def own_program(name: str) -> Path:
    """The compiled program, static. LabError with what the compiler said if it does not compile."""
    package, version = packages.find(_LIBNUMA)
    return built(name, _place(), packages.fetch(package, version) / "usr")


def built(name: str, place: Path, numa: Path) -> Path:
    """The same of the tests in another tree. ``place``: its selftests/mm; ``numa``: where libnuma has its folders
    include and lib."""
    text = (place / f"{name}.c").read_text()
    if name in _SHORTER:
        was, now = _SHORTER[name]
        if was not in text:
            raise LabError(f"{name}.c has no line '{was}'; look there for how long it runs")
        text = text.replace(was, now)
    parts = [place / part for part in _PARTS if (place / part).is_file()]
    shared = sorted([*place.glob("*.h"), *place.parent.glob("*.h"), *parts])

    def make(folder: Path) -> None:
        (folder / f"{name}.c").write_text(text)
        (folder / "local_config.h_gen").write_text("")  # no liburing
        top = place.parents[3]
        headers = [place, place.parent, top, top / "tools/include", numa / "include", folder]
        command = ["gcc", *_FLAGS, *(f"-I{path}" for path in headers), "-isystem", str(top / "tools/include/uapi")]
        command += ["-o", str(folder / name), str(folder / f"{name}.c"), *map(str, parts)]
        command += [f"-L{path}" for path in (numa / "lib").glob("*-linux-gnu")]
        command += ["-lrt", "-lpthread", "-lm", "-lnuma"]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        if result.returncode:
            raise LabError(f"gcc does not compile {name}.c of {place}", result.stdout[-3000:])

    return made_once(root() / "own-tests" / content_hash([text, *shared, *_FLAGS]), make) / name
