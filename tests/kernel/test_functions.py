# SPDX-License-Identifier: MIT
"""Which symbol stands for a function of the probe table."""

from __future__ import annotations

import pytest

from lazyobs.kernel.functions import Functions, NotTraceable
from lazyobs.kernel.kallsyms import Kallsyms
from lazyobs.kernel.profile import PROMOTION, Profile

TEXT = b"""\
1000 T old
1100 t newest
1200 t newest.cold
1300 t only.isra.0
1400 t twice
1500 t twice
1600 t end
"""


def functions(stated: dict[str, tuple[str, ...]] | None = None, **aliases: tuple[str, ...]) -> Functions:
    profile = Profile("p", "", aliases=aliases, stated=stated or {})
    return Functions(Kallsyms(TEXT, ["old", "newest", "only", "twice"]), None, profile)


def names_of(found: Functions, function: str) -> list[str]:
    return [symbol.name for symbol in found.parts(function)]


def test_without_an_alias_it_is_the_function_of_that_name():
    assert names_of(functions(), "old") == ["old"]
    assert names_of(functions(), "gone") == []


def test_an_alias_comes_before_the_name():
    found = functions(old=("newest",))
    assert names_of(found, "old") == ["newest", "newest.cold"]
    assert [symbol.name for symbol in found.plain("old")] == ["newest"]


def test_the_first_alias_that_exists_is_taken():
    assert names_of(functions(old=("gone", "twice", "newest")), "old") == ["twice", "twice"]


def test_without_any_alias_that_exists_it_is_the_name():
    assert names_of(functions(old=("gone",)), "old") == ["old"]
    assert functions(old=("gone",)).names("old", "newest") == ("gone", "old", "newest")


def test_what_a_profile_states_has_aliases_too():
    found = functions({PROMOTION: ("promote",)}, promote=("newest",))
    assert found.names(PROMOTION) == ("newest", "promote")
    assert names_of(found, PROMOTION) == ["newest", "newest.cold"]
    assert functions(promote=("newest",)).names(PROMOTION) == ()


@pytest.mark.parametrize(
    ("function", "why"),
    [
        ("gone", "this kernel has no gone"),
        ("aliased", "this kernel has no other or aliased"),
        ("only", "only exists only as only.isra.0"),
        ("twice", "2 functions are named twice"),
        ("old", "old has no prototype in BTF"),
        (PROMOTION, "profile p names no promotion.function"),
    ],
)
def test_why_a_probe_cannot_enter_it(function, why):
    found = functions(aliased=("other",))
    with pytest.raises(NotTraceable) as error:
        found.traceable(function)
    assert str(error.value) == why
    assert found.prototype(function) is None
