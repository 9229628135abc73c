# SPDX-License-Identifier: MIT
"""A plan is made once for a build of the kernel; what is kept of it is used only where it is exactly that."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lazyobs.bpf import maps, optional, plan, plan_cache, sources
from lazyobs.bpf.blanks import Switch
from lazyobs.bpf.cache import Cache
from lazyobs.bpf.plan import Plan
from lazyobs.errors import UsageError
from lazyobs.kernel.build import Build
from lazyobs.kernel.facts import Facts, Subject
from lazyobs.kernel.profile import Profile
from tests.harness import need_root

PROFILE = Profile("made", "a kernel of the tests", functions=("a", "b"), aliases={"a": ("c", "d")})
ANCHOR = 0xFFFFFFFF81000000


@dataclass
class Kernel:
    """What is found out about it; ``looked``: how often it was."""

    build: Build = field(default_factory=lambda: Build("build 23", ANCHOR))
    closed: dict[str, str] = field(default_factory=lambda: {"fentry": "no trampoline"})
    cpus: int = 2
    compare_and_swap: bool = True
    also: tuple[str, ...] = ()
    looked: int = 0

    def gather(self, _profiles: list[Profile] | None) -> Facts:
        self.looked += 1
        return Facts("6.12.1-made", PROFILE, None, "none", None, "none")

    def make(
        self,
        facts: Facts,
        cap: str | None,
        points: tuple[str, ...] | None,
        closed: dict[str, str],
        events: bool,
        anchor: int,
        follows: bool,
        also: tuple[str, ...],
    ) -> Plan:
        return Plan(
            Subject(facts.release, facts.profile, {"anon_vma": 104}),
            f"cap {cap} events {events}",
            [{"name": name, "candidates": []} for name in points or ("all",)],
            switches={"SITE": Switch(anchor + 23, 101, ((0, 7),), 0, moves=True), "REASON": Switch(5, 1, (), 0, False)},
            anchor=anchor,
            closed=dict(closed),
        )


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(plan, "gather", made.gather)
    monkeypatch.setattr(plan, "make", made.make)
    monkeypatch.setattr(Build, "read", lambda: made.build)
    monkeypatch.setattr(optional, "asked_for", lambda: made.also)
    monkeypatch.setattr(maps, "possible_cpus", lambda: made.cpus)
    monkeypatch.setattr(plan_cache, "has_compare_and_swap", lambda: made.compare_and_swap)
    monkeypatch.setattr(plan_cache, "refused_tiers", lambda _function: made.closed)
    monkeypatch.setattr(plan_cache, "refused_again", lambda _function, _before: made.closed)
    monkeypatch.setattr(plan_cache, "trial_function", lambda _btf, _profile: 0)
    return made


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def planned(kept: Path, **options: object) -> tuple[Plan, list[str], int]:
    """(the plan, what was there and not used, how often "there is none yet" was said)."""
    cache, new = Cache((str(kept),)), []
    choices = {"profile_file": None, "cap": None, "points": None, **options}
    found = plan_cache.planned(cache, when_new=lambda: new.append(1), **choices)  # type: ignore[arg-type]
    return found, cache.ignored, len(new)


def the_entry(kept: Path) -> Path:
    (found,) = kept.iterdir()
    assert found.suffix == ".plan"
    return found


def test_it_is_made_once(kernel: Kernel, kept: Path) -> None:
    first, ignored, new = planned(kept)
    assert (ignored, new, kernel.looked) == ([], 1, 1)
    second, ignored, new = planned(kept)
    assert (ignored, new, kernel.looked) == ([], 0, 1)
    assert second == first
    assert second.subject.profile == PROFILE


def test_another_boot_has_the_same_plan_elsewhere(kernel: Kernel, kept: Path) -> None:
    planned(kept)
    kernel.build = replace(kernel.build, anchor=ANCHOR + 0x2A00000)
    found, _, new = planned(kept)
    assert (new, found.anchor) == (0, ANCHOR + 0x2A00000)
    assert found.switches["SITE"] == Switch(ANCHOR + 0x2A00017, 101, ((0, 7),), 0, moves=True)
    assert found.switches["REASON"].base == 5


def of_another_build(kernel: Kernel) -> dict[str, object]:
    kernel.build = replace(kernel.build, name="build 24")
    return {}


def of_other_cpus(kernel: Kernel) -> dict[str, object]:
    kernel.cpus = 3
    return {}


def without_compare_and_swap(kernel: Kernel) -> dict[str, object]:
    kernel.compare_and_swap = False
    return {}


def with_a_point_that_is_left_out(kernel: Kernel) -> dict[str, object]:
    kernel.also = ("page_tables",)
    return {}


OTHERS: dict[str, Callable[[Kernel], dict[str, object]]] = {
    "build": of_another_build,
    "CPUs": of_other_cpus,
    "compare and swap": without_compare_and_swap,
    "cap": lambda _: {"cap": "tracepoint"},
    "points": lambda _: {"points": ("slab",)},
    "events": lambda _: {"events": True},
    "also": with_a_point_that_is_left_out,
}


@pytest.mark.parametrize("what", OTHERS)
def test_for_anything_else_there_is_another(kernel: Kernel, kept: Path, what: str) -> None:
    planned(kept)
    options = OTHERS[what](kernel)
    _, ignored, new = planned(kept, **options)
    assert (ignored, new, len(list(kept.iterdir()))) == ([], 1, 2)
    assert planned(kept, **options)[2] == 0


def test_of_another_version_of_the_code(kernel: Kernel, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(kept)
    monkeypatch.setattr(plan_cache, "__version__", "99.0")
    assert planned(kept)[2] == 1


def test_the_probes_and_profiles_are_part_of_the_code(
    kernel: Kernel, kept: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "probes").mkdir()
    (tmp_path / "probes/slab.c").write_text("int x;\n")
    monkeypatch.setattr(sources, "folder", lambda: tmp_path / "probes")
    assert planned(kept)[2] == 1
    assert planned(kept)[2] == 0
    (tmp_path / "probes/slab.c.orig").write_text("int x;\n")
    assert planned(kept)[2] == 0
    (tmp_path / "probes/slab.c").write_text("int y;\n")
    assert planned(kept)[2] == 1


def test_a_profile_file_counts_by_what_it_says(kernel: Kernel, kept: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text('name = "p"\nabout = "first"\n')
    assert planned(kept, profile_file=file)[2] == 1
    file.rename(tmp_path / "q.toml")
    assert planned(kept, profile_file=tmp_path / "q.toml")[2] == 0
    (tmp_path / "q.toml").write_text('name = "p"\nabout = "second"\n')
    assert planned(kept, profile_file=tmp_path / "q.toml")[2] == 1
    with pytest.raises(UsageError):
        planned(kept, profile_file=tmp_path / "none.toml")


@pytest.mark.parametrize("spoil", ["changed", "cut short", "empty"])
def test_a_damaged_one_is_not_used(kernel: Kernel, kept: Path, spoil: str) -> None:
    first, _, _ = planned(kept)
    raw = the_entry(kept).read_bytes()
    damaged = {"changed": raw.replace(b"anon_vma", b"anon_vmb"), "cut short": raw[:-1], "empty": b""}[spoil]
    the_entry(kept).write_bytes(damaged)
    found, ignored, new = planned(kept)
    assert [why.partition(": ")[2] for why in ignored] == ["its content is not what was written"]
    assert (found, new, kernel.looked) == (first, 1, 2)
    assert planned(kept)[1:] == ([], 0)  # the new one has taken its place


def test_a_foreign_one_is_not_used(kernel: Kernel, kept: Path) -> None:
    need_root("to give files away")
    planned(kept)
    os.chown(the_entry(kept), 54321, 54321)
    _, ignored, new = planned(kept)
    assert [why.partition(": ")[2] for why in ignored] == ["the file belongs to user 54321"] and new == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"null",
        b'{"subject": {}}',
        b'{"subject": "x"}',
        b"[" * 100_000,
        "unknown field",
        "missing field",
        "unknown profile field",
    ],
    ids=lambda content: content[:23] if isinstance(content, str) else repr(content[:23]),
)
def test_what_is_whole_and_no_plan_is_not_used(kernel: Kernel, kept: Path, content: bytes | str) -> None:
    """Written by another version of lazyobs, or by whoever may write there."""
    first, _, _ = planned(kept)
    document = json.loads(first.to_bytes())
    if content == "unknown field":
        document["colour"] = 23
    elif content == "missing field":
        del document["points"]
    elif content == "unknown profile field":
        document["subject"]["profile"]["colour"] = 23
    raw = content if isinstance(content, bytes) else json.dumps(document).encode()
    assert Cache((str(kept),)).keep(the_entry(kept).name, raw)
    found, ignored, new = planned(kept)
    assert len(ignored) == 1 and ": no plan of this version (" in ignored[0]
    assert (found, new) == (first, 1)


@pytest.mark.parametrize("closed", [{}, {"fentry": "lockdown"}, {"fentry": "no trampoline", "kprobe": "lockdown"}])
def test_one_made_when_other_tiers_were_let_in_is_not_used(kernel: Kernel, kept: Path, closed: dict[str, str]) -> None:
    planned(kept)
    kernel.closed = closed
    found, ignored, new = planned(kept)
    assert [why.partition(": ")[2] for why in ignored] == ["made when the kernel allowed other tiers"]
    assert (found.closed, new) == (closed, 1)
    assert planned(kept)[1:] == ([], 0)


def test_where_nothing_can_be_kept_it_is_made_each_time(kernel: Kernel, tmp_path: Path) -> None:
    for _ in range(2):
        assert planned(tmp_path / "not" / "there")[1:] == ([], 1)
    assert kernel.looked == 2
