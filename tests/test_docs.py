# SPDX-License-Identifier: MIT
"""The pages for readers: what they link to and name is there, and their lines end at column 100."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.harness import ROOT
from tests.test_architecture import FLOORS

PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "lab/README.md",
    *sorted(f"docs/{page.name}" for page in ROOT.glob("docs/*.md")),
)
COLUMNS = 100
# Where a page may mean a path from, besides its own folder.
FOLDERS = ("", "lazyobs", "docs", "dashboards", "dashboards/prometheus")
# Files of other places: a recording's, a machine's, the kernel's.
ELSEWHERE = re.compile(r"^(recording|kept)\.json$|^/|^(mm|include|tools)/")
PATH = re.compile(r"`([\w./*-]+\.(?:c|h|json|md|py|toml|yml))`")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def prose(text: str) -> list[tuple[int, str]]:
    """(number, line) of a page, without what stands in fences."""
    found, fenced = [], False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            found.append((number, line))
    return found


def anchors(text: str) -> set[str]:
    """Names that GitHub gives the headings of a page."""
    headings = (line.lstrip("#").strip().lower() for _, line in prose(text) if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def long_lines(text: str) -> list[int]:
    """Tables and images cannot be broken."""
    return [number for number, line in prose(text) if len(line) > COLUMNS and not line.startswith(("|", "!["))]


def dead_links(page: str, text: str, root: Path = ROOT) -> list[str]:
    dead = []
    for target in LINK.findall("\n".join(line for _, line in prose(text))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (root / page).parent / name if name else root / page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text())):
            dead.append(target)
    return dead


def missing_files(page: str, text: str, root: Path = ROOT) -> list[str]:
    folders = [(root / page).parent, *(root / folder for folder in FOLDERS)]
    return [
        name
        for name in PATH.findall(text)
        if not ELSEWHERE.match(name) and not any(next(folder.glob(name), None) for folder in folders)
    ]


def test_the_picture_of_the_rooms_is_the_one_that_is_checked() -> None:
    picture = (ROOT / "docs/architecture.md").read_text().partition("## The rooms")[2].split("```")[1]
    drawn = [set(re.findall(r"\w+", floor.partition("<")[0])) for floor in re.split(r"\n -+\n", picture)]
    unseen = {"__main__", "lazyobs"}
    assert drawn == [set(floor) - unseen for floor in FLOORS if set(floor) - unseen]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    assert dead_links(page, text) == []
    assert missing_files(page, text) == []


@pytest.mark.parametrize("page", PAGES)
def test_lines_end_at_column_100(page: str) -> None:
    assert long_lines((ROOT / page).read_text()) == []


def test_faults_are_seen(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/there.md").write_text("# One of these (2)\n")
    text = (
        "[a](there.md) [b](gone.md) [c](there.md#one-of-these-2) [d](there.md#two) [e](https://example.org/x)\n"
        "`there.md` `docs/there.md` `gone.py` `*/*.md` `*/*.toml` `mm/rmap.c` `recording.json`\n"
        "```\n[f](gone.md)\n" + "x" * 101 + "\n```\n| " + "x" * 101 + "\n" + "x" * 100 + "\n" + "x" * 101 + "\n"
    )
    assert dead_links("docs/page.md", text, tmp_path) == ["gone.md", "there.md#two"]
    assert missing_files("docs/page.md", text, tmp_path) == ["gone.py", "*/*.toml"]
    assert long_lines(text) == [9]


def test_the_readme_is_one_screen() -> None:
    """The answer, the picture, two commands and links: what is said beyond that is on a page of its own."""
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 60
    assert [line for line in text.splitlines() if line.startswith("$ ")] == ["$ lazyobs summary --replay leak"]
    assert text.count("\n![") == 1
    assert [line.split("#")[0].split() for line in text.splitlines() if line.startswith("make ")] == [["make", "top"], ["make", "test"]]  # fmt: skip


def test_the_readme_leads_to_every_page() -> None:
    """In one step, or from the page that it leads to in two."""
    readme = (ROOT / "README.md").read_text()
    first = {target.partition("#")[0] for target in LINK.findall(readme)}
    second = {
        f"docs/{target.partition('#')[0]}"
        for page in first
        if page.startswith("docs/") and page.endswith(".md")
        for target in LINK.findall((ROOT / page).read_text())
    }
    assert {page for page in PAGES if page.startswith("docs/")} <= first | second


def test_the_command_of_ci_is_the_readme_s() -> None:
    run = (ROOT / ".ci/run").read_text().splitlines()
    assert "make test" in run and run.index("make setup") < run.index("make test")


def test_the_four_questions_have_short_commands_with_what_they_print() -> None:
    """The answers of the quick start begin as the commands' do."""
    section = (ROOT / "docs/quick-start.md").read_text().partition("## Four questions")[2].partition("\n## ")[0]
    blocks = [block.strip().splitlines() for block in section.split("```")[1::2]]
    commands = [block[0].removeprefix("$ ") for block in blocks]
    assert [command.removeprefix("sudo ").split()[1] for command in commands] == ["summary", "census", "report", "report", "compare"]  # fmt: skip
    assert all(len(command) <= 40 for command in commands)
    labels = [line.split()[0] for line in blocks[0][1:] if not line.startswith(" ")]
    assert labels == ["holds", "unshared", "lazy", "forks", "waits", "change", "most", "cgroups", "advice"]
    for label in labels:
        assert f'"{label}"' in (ROOT / "lazyobs/views/summary.py").read_text()
    assert "CHAINS" in blocks[1][1].split() and blocks[1][1].split()[-1] == "COMMAND"
    for block in blocks[2:]:
        assert block[1] in ("PASS", "FAIL", "INCONCLUSIVE") and block[2].startswith("* ")
        assert all(len(line) <= 72 for line in block[1:])
