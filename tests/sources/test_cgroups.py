# SPDX-License-Identifier: MIT
"""Paths of cgroups, from /proc and from the kernel's tree."""

from __future__ import annotations

import pytest

from lazyobs.sources.cgroups import KernelCgroups, path_in

UNIFIED = "0::/system.slice/a.service\n"
DOCKER_V1 = """\
12:pids:/docker/4711
4:cpu,cpuacct:/docker/4711
3:memory:/docker/4711
1:name=systemd:/docker/4711
0::/system.slice/containerd.service
"""
NO_MEMORY = "5:pids:/\n1:name=systemd:/user.slice/user-0.slice\n0::/\n"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (UNIFIED, "/system.slice/a.service"),
        (DOCKER_V1, "/docker/4711"),
        (NO_MEMORY, "/user.slice/user-0.slice"),
        ("1:name=systemd:/x\n", "/x"),
        ("0::/a:b\n", "/a:b"),
        ("0::/\n", "/"),
        ("5:pids:/x\n", None),
        ("", None),
    ],
)
def test_the_hierarchy_that_tells_processes_apart(text: str, path: str | None) -> None:
    assert path_in(text) == path


TREE = {1: (0, ""), 5: (1, "system.slice"), 7: (5, "a.service"), 9: (8, "orphan"), 11: (11, "circle"), 13: (1, "")}


def test_paths_are_joined_from_the_root() -> None:
    cgroups = KernelCgroups(lambda: TREE)
    assert [cgroups.path(one) for one in (1, 5, 7)] == ["/", "/system.slice", "/system.slice/a.service"]


@pytest.mark.parametrize("unknown", [0, 4, 9, 11, 13])
def test_what_the_tree_does_not_reach_is_unknown(unknown: int) -> None:
    assert KernelCgroups(lambda: TREE).path(unknown) is None


def test_the_tree_is_read_once_a_sample_and_only_for_what_is_new() -> None:
    read = []

    def tree() -> dict[int, tuple[int, str]]:
        read.append(1)
        return {1: (0, ""), 5: (1, "a")} if len(read) == 1 else {1: (0, ""), 6: (1, "b")}

    cgroups = KernelCgroups(tree)
    assert (cgroups.path(5), cgroups.path(6), cgroups.path(6), len(read)) == ("/a", None, None, 1)
    cgroups.begin()
    assert (cgroups.path(5), len(read)) == ("/a", 1)
    assert (cgroups.path(6), len(read)) == ("/b", 2)
    assert cgroups.path(5) == "/a"  # a cgroup that is gone keeps its name
