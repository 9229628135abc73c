# SPDX-License-Identifier: MIT
from __future__ import annotations

from lazyobs.exporter.cgroups import OTHER, CgroupFold
from lazyobs.model import CENSUS_NAMES, Process
from tests.exporter.host import Host


def _process(cgroup: str | None, savable: int | None, pid: int = 1) -> Process:
    census: dict[str, int | None] = dict.fromkeys(CENSUS_NAMES, 0)
    census["savable_bytes"] = savable
    return Process(pid, 0.0, "nobody", "x", cgroup, census, {})


def test_paths_fold_to_the_depth() -> None:
    fold = CgroupFold(depth=2)
    assert fold.path("/system.slice/a.service/b/c") == "/system.slice/a.service"
    assert fold.path("/user.slice") == "/user.slice"
    assert fold.path("/") == "/"
    assert CgroupFold(depth=1).path("/system.slice/a.service") == "/system.slice"


def test_what_is_beside_a_cgroup_namespace_stays_apart() -> None:
    fold = CgroupFold(depth=2)
    assert fold.path("/../../pod2/c2/x") == "/../../pod2/c2"
    assert fold.path("/../../pod3/c1") == "/../../pod3/c1"
    assert fold.path("/../..") == "/../.."


def test_names_of_cgroups_come_out_printable() -> None:
    assert CgroupFold().path("/a\nb\x1b[31m/c") == "/a?b?[31m/c"


def test_rows_and_other_are_everything() -> None:
    processes = Host(processes=211, cgroups=101).read().processes
    folded = CgroupFold(depth=2, top=10).fold(processes)
    assert (len(folded.rows), folded.found, folded.hidden) == (11, 101, 91)
    assert folded.rows[-1].path == OTHER
    for name in CENSUS_NAMES:
        assert sum(row.census[name] for row in folded.rows) == sum(p.census[name] for p in processes)
    assert sum(row.processes for row in folded.rows) == 211


def test_the_largest_are_kept() -> None:
    processes = [_process(f"/c{number}", number) for number in range(23)]
    rows = CgroupFold(top=3).fold(processes).rows
    assert [row.path for row in rows] == ["/c20", "/c21", "/c22", OTHER]
    assert rows[-1].census["savable_bytes"] == sum(range(20))


def test_a_row_stays_until_another_is_half_as_large_again() -> None:
    fold = CgroupFold(top=1)
    assert fold.fold([_process("/a", 100), _process("/b", 90)]).rows[0].path == "/a"
    assert fold.fold([_process("/a", 100), _process("/b", 149)]).rows[0].path == "/a"
    assert fold.fold([_process("/a", 100), _process("/b", 151)]).rows[0].path == "/b"


def test_a_process_without_a_known_cgroup_counts_in_other() -> None:
    folded = CgroupFold().fold([_process(None, 23), _process("/a", 101)])
    assert [(row.path, row.processes, row.census["savable_bytes"]) for row in folded.rows] == [
        ("/a", 1, 101),
        (OTHER, 1, 23),
    ]


def test_other_is_zero_where_known_and_null_where_not() -> None:
    assert CgroupFold().fold([_process("/a", 5)]).rows[-1].census["savable_bytes"] == 0
    assert CgroupFold().fold([_process("/a", None)]).rows[-1].census["savable_bytes"] is None


def test_no_rows_of_their_own() -> None:
    rows = CgroupFold(top=0).fold([_process("/a", 5), _process("/b", 6)]).rows
    assert [(row.path, row.census["savable_bytes"]) for row in rows] == [(OTHER, 11)]
