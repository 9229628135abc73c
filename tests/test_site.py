# SPDX-License-Identifier: MIT
"""The site: every page is in it, and every link of a page leads somewhere. mkdocs' own strict check is make site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.harness import ROOT, module_of

site = module_of(ROOT / "packages/site.py")
KNOWN = site.pages()


def test_every_page_has_a_name_of_its_own_and_a_place() -> None:
    assert len(set(KNOWN.values())) == len(KNOWN)
    listed = [name for chapter in site.nav(KNOWN) for names in chapter.values() for name in ([names] if isinstance(names, str) else names)]  # fmt: skip
    assert sorted(listed) == sorted(KNOWN.values())
    assert [title for chapter in site.nav(KNOWN) for title in chapter][:2] == ["lazyobs", "Tutorial"]
    there = [page for pages in site.CHAPTERS.values() for page in pages]
    assert [page for page in there if not (ROOT / page).is_file()] == []


@pytest.mark.parametrize("page", KNOWN, ids=lambda page: page.name)
def test_links_lead_to_pages_of_the_site(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", site.rewritten(page, KNOWN), flags=re.MULTILINE | re.DOTALL)
    for picture, _, target in site.LINK.findall(text):
        name = target.partition("#")[0]
        if picture:
            assert (ROOT / "docs" / name).is_file(), target
        elif name and not re.match("[a-z]+:", target):
            assert name in KNOWN.values(), target


def test_how_links_change(tmp_path: Path) -> None:
    page = ROOT / "docs/soak.md"
    text = "[a](fleet.md#x) [b](../README.md) [c](../lazyobs/cli.py) ![d](pictures/top.png) [e](https://x.y) [f](#z)"
    changed = site.LINK.sub(lambda link: site._link(link, page, KNOWN), text)
    assert changed == "[a](fleet.md#x) [b](index.md) c ![d](pictures/top.png) [e](https://x.y) [f](#z)"
    with pytest.raises(SystemExit, match=r"docs/soak.md links to nothing.md, which is not there"):
        site.LINK.sub(lambda link: site._link(link, page, KNOWN), "[a](nothing.md)")
