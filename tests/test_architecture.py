# SPDX-License-Identifier: MIT
"""The picture of the house: which room may import which, and that every room is packed."""

from __future__ import annotations

import ast
import configparser
import itertools
import re
from collections import defaultdict
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.harness import ROOT
from tests.imports import Import, Modules, circle, imports, modules, names, programs

# From the top. A room is a package or module of lazyobs/, or a folder beside it; "lazyobs" is lazyobs/__init__.py. It
# imports rooms of the floors below its own.
FLOORS = (
    ("commands", "cli", "entry", "__main__", "manual", "bench", "tests"),
    ("judge",),
    ("lab",),
    ("screen", "soak", "selftest"),
    ("recorder", "exporter", "views"),
    ("sources",),
    ("recording",),
    ("bpf", "images"),
    ("kernel",),
    ("unix", "schema"),
    ("model",),
    ("invariants", "errors", "text", "preload", "shipped"),
    ("lazyobs",),
)
# And of its own floor only these.
BESIDE = {
    ("__main__", "entry"),
    ("entry", "cli"),
    ("cli", "commands"),
    ("manual", "cli"),
    ("manual", "commands"),
    ("bench", "tests"),
}
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "lazyobs" and len(parts) > 1 else parts[0]


def wrong_ways(found: list[Import]) -> list[str]:
    """Each import that does not run downwards, or to or from a room that is not in the picture."""
    wrong = []
    for one in found:
        here, there = room_of(one.importer), room_of(one.imported)
        if here == there or (here, there) in BESIDE:
            continue
        unknown = [room for room in (here, there) if room not in FLOOR]
        if unknown:
            wrong.append(f"{one.where}: {unknown[0]} is in no floor of the picture")
        elif FLOOR[here] >= FLOOR[there]:
            wrong.append(f"{one.where}: {here} must not import {there}")
    return wrong


def circle_of_rooms(found: list[Import]) -> list[str]:
    """Rooms that import each other, with a line for each arrow."""
    arrows: dict[str, dict[str, str]] = defaultdict(dict)
    for one in found:
        here, there = room_of(one.importer), room_of(one.imported)
        if here != there:
            arrows[here].setdefault(there, one.where)
    way = circle(arrows)
    return [f"{arrows[here][there]}: {here} imports {there}" for here, there in itertools.pairwise(way)]


def circle_of_modules(found: list[Import]) -> list[str]:
    """Modules that cannot be imported without each other, with a line for each import."""
    arrows: dict[str, dict[str, str]] = defaultdict(dict)
    for one in found:
        if one.on_import:
            arrows[one.importer].setdefault(one.imported, one.where)
    way = circle(arrows)
    return [f"{arrows[here][there]}: {here} imports {there}" for here, there in itertools.pairwise(way)]


def unpacked(root: Path) -> list[str]:
    """What an installation would lack, or setup.cfg lists in vain."""
    setup = configparser.ConfigParser()
    setup.read(root / "setup.cfg")
    listed = set(setup["options"]["packages"].split())
    places = dict(line.split(" = ") for line in setup["options"]["package_dir"].strip().splitlines())
    patterns = setup["options.package_data"]
    there = {".".join(file.parent.relative_to(root).parts) for file in (root / "lazyobs").rglob("*.py")} | {*places}
    wrong = [f"setup.cfg does not list the package {name}" for name in sorted(there - listed)]
    wrong += [f"setup.cfg lists the package {name}, which is not there" for name in sorted(listed - there)]
    for name in sorted(there & listed):
        folder = root / places.get(name, name.replace(".", "/"))
        kept = [pattern.strip() for pattern in patterns.get(name, "").split(",")]
        for file in sorted(file for file in folder.iterdir() if file.is_file() and file.suffix != ".py"):
            if not any(fnmatch(file.name, pattern) for pattern in kept):
                wrong.append(f"setup.cfg packs no {name} {file.name}")
    return wrong


def lost_imports(root: Path, *folders: str) -> list[str]:
    """What programs kept as strings, which no linter sees, import of us in vain."""
    known = modules(root, *folders)
    wrong = []
    for file in known.values():
        for program, line in programs(ast.parse(file.read_text())):
            for node in ast.walk(program):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    where = f"{file.relative_to(root)}:{line}"
                    wrong += [f"{where}: a program imports {name}" for name in names(node) if not is_there(name, known)]
    return wrong


def is_there(name: str, known: Modules) -> bool:
    """Whether it is a module, or a name that one has; True of what is not ours."""
    package, _, last = name.rpartition(".")
    if name in known or name.partition(".")[0] not in known:
        return True
    return package in known and re.search(rf"\b{last}\b", known[package].read_text()) is not None


def of(root: Path) -> list[Import]:
    return list(imports(root, modules(root, "lazyobs", "bench", "lab")))


@pytest.fixture(scope="module")
def ours() -> list[Import]:
    return of(ROOT)


def test_imports_run_downwards(ours: list[Import]) -> None:
    assert wrong_ways(ours) == []


def test_no_rooms_import_each_other(ours: list[Import]) -> None:
    assert circle_of_rooms(ours) == []


def test_no_modules_need_each_other(ours: list[Import]) -> None:
    assert circle_of_modules(ours) == []


def test_the_picture_has_the_rooms_there_are(ours: list[Import]) -> None:
    rooms = {room_of(module) for module in modules(ROOT, "lazyobs", "bench", "lab")} | {"tests"}
    assert rooms == FLOOR.keys()
    assert {(room_of(one.importer), room_of(one.imported)) for one in ours} >= BESIDE


def test_programs_in_strings_import_what_is_there() -> None:
    found = lost_imports(ROOT, "lazyobs", "bench", "lab", "tests")
    # This file has strings with every fault.
    assert [line for line in found if not line.startswith("tests/test_architecture.py:")] == []


def test_every_package_is_packed() -> None:
    assert unpacked(ROOT) == []


# The same on houses with one fault each.

SETUP = """
[options]
packages =
    lazyobs
    lazyobs.bpf
    lazyobs.probes
    lazyobs.sources
package_dir =
    lazyobs.probes = probes
[options.package_data]
lazyobs.probes = *.c, *.h
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A small one without a fault."""
    files = {
        "setup.cfg": SETUP,
        "probes/slab.c": "",
        "lazyobs/__init__.py": "",
        "lazyobs/model.py": "import os\n",
        "lazyobs/errors.py": "class Error(Exception):\n    pass\n",
        "lazyobs/bpf/__init__.py": "",
        "lazyobs/bpf/maps.py": "from lazyobs.model import Sample\nfrom lazyobs import errors\n",
        "lazyobs/bpf/plan.py": "from lazyobs.bpf import maps\n",
        "lazyobs/sources/__init__.py": "",
        "lazyobs/sources/live.py": "import lazyobs.bpf.plan as plan\nfrom ..errors import Error\n",
        "bench/start.py": "from lazyobs.sources.live import LiveSource\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_house_without_a_fault(house: Path) -> None:
    found = of(house)
    assert {(one.where, one.imported) for one in found} == {
        ("lazyobs/bpf/maps.py:1", "lazyobs.model"),
        ("lazyobs/bpf/maps.py:2", "lazyobs.errors"),
        ("lazyobs/bpf/plan.py:1", "lazyobs.bpf.maps"),
        ("lazyobs/sources/live.py:1", "lazyobs.bpf.plan"),
        ("lazyobs/sources/live.py:2", "lazyobs.errors"),
        ("bench/start.py:1", "lazyobs.sources.live"),
    }
    assert wrong_ways(found) == circle_of_rooms(found) == circle_of_modules(found) == unpacked(house) == []


@pytest.mark.parametrize(
    "text",
    [
        "from lazyobs.sources.live import LiveSource",
        "from lazyobs.sources import live",
        "import lazyobs.sources.live",
        "from ..sources import live",
        "from lazyobs import sources",
        "def late():\n    from lazyobs.sources import live",
        "class Late:\n    async def late(self):\n        import lazyobs.sources.live",
        "if TYPE_CHECKING:\n    from lazyobs.sources.live import LiveSource",
        "import importlib\nimportlib.import_module('lazyobs.sources.live')",
        "import importlib\nimportlib.import_module(f'lazyobs.sources.{name}')",
        "try:\n    import lazyobs.sources.live\nexcept ImportError:\n    pass",
    ],
)
def test_an_arrow_up_is_seen(house: Path, text: str) -> None:
    (house / "lazyobs/bpf/event.py").write_text("import os\n" + text + "\n")
    line = 2 + next(number for number, line in enumerate(text.splitlines()) if "sources" in line)
    assert wrong_ways(of(house)) == [f"lazyobs/bpf/event.py:{line}: bpf must not import sources"]


def test_an_arrow_aside_is_seen(house: Path) -> None:
    (house / "lazyobs/text.py").write_text("from lazyobs.errors import Error\n")
    (house / "lazyobs/cli.py").write_text("import bench.start\n")
    assert wrong_ways(of(house)) == [
        "lazyobs/cli.py:1: cli must not import bench",
        "lazyobs/text.py:1: text must not import errors",
    ]


def test_a_room_that_is_not_in_the_picture_is_seen(house: Path) -> None:
    (house / "lazyobs/helpers.py").write_text("from lazyobs.errors import Error\n")
    assert wrong_ways(of(house)) == ["lazyobs/helpers.py:1: helpers is in no floor of the picture"]


def test_rooms_that_import_each_other_are_seen(house: Path) -> None:
    """Whatever the picture allows."""
    (house / "lazyobs/bpf/event.py").write_text("def late():\n    from lazyobs.sources import live\n")
    assert circle_of_rooms(of(house)) == [
        "lazyobs/bpf/event.py:2: bpf imports sources",
        "lazyobs/sources/live.py:1: sources imports bpf",
    ]
    assert circle_of_modules(of(house)) == []


def test_modules_that_need_each_other_are_seen(house: Path) -> None:
    maps = house / "lazyobs/bpf/maps.py"
    maps.write_text("from lazyobs.bpf.plan import Plan\n")
    assert circle_of_modules(of(house)) == [
        "lazyobs/bpf/maps.py:1: lazyobs.bpf.maps imports lazyobs.bpf.plan",
        "lazyobs/bpf/plan.py:1: lazyobs.bpf.plan imports lazyobs.bpf.maps",
    ]
    for late in (
        "def late():\n    from lazyobs.bpf.plan import Plan\n",
        "if TYPE_CHECKING:\n    import lazyobs.bpf.plan\n",
    ):
        maps.write_text(late)
        assert circle_of_modules(of(house)) == []


def test_what_a_program_in_a_string_imports_in_vain_is_seen(house: Path) -> None:
    program = (
        "import sys\nfrom lazyobs.bpf import maps, wire\nfrom lazyobs.errors import Error, NoError\nimport bcc.libbcc\n"
    )
    indented = "\n    from lazyobs import model\n    from lazyobs.happening import Happening\n"
    words = "import lazyobs.gone is no program"
    (house / "bench/ring.py").write_text(f"READER = {program!r}\nWORDS = {words!r}\n\nINDENTED = {indented!r}\n")
    assert lost_imports(house, "lazyobs", "bench") == [
        "bench/ring.py:1: a program imports lazyobs.bpf.wire",
        "bench/ring.py:1: a program imports lazyobs.errors.NoError",
        "bench/ring.py:4: a program imports lazyobs.happening.Happening",
    ]


def test_what_is_not_packed_is_seen(house: Path) -> None:
    (house / "lazyobs/kernel").mkdir()
    (house / "lazyobs/kernel/btf.py").write_text("")
    (house / "lazyobs/sources/table.toml").write_text("")
    (house / "probes/notes.txt").write_text("")
    for file in (house / "lazyobs/bpf").iterdir():
        file.unlink()
    assert unpacked(house) == [
        "setup.cfg does not list the package lazyobs.kernel",
        "setup.cfg lists the package lazyobs.bpf, which is not there",
        "setup.cfg packs no lazyobs.probes notes.txt",
        "setup.cfg packs no lazyobs.sources table.toml",
    ]
