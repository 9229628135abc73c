# SPDX-License-Identifier: MIT
"""``python packages/site.py OUT``: the pages as a site, which opens offline; needs mkdocs and mkdocs-material.

No page loads anything from elsewhere. So there is no search where they are opened as files, for which Material has a
script on another server: the box works as soon as any server serves them.

The pages are written to be read in the repository, so that links between them lead through it. Here the README is the
first page, links to other pages lead to them, and a link to a file that is no page becomes its text. mkdocs' strict mode
then demands that every link and every anchor that is left leads somewhere.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Title: pages, by their file. What is in no row comes last.
CHAPTERS = {
    "Tutorial": ("docs/quick-start.md", "docs/tutorial.md", "docs/install.md"),
    "How to": (
        *("docs/judge.md", "docs/profiles.md", "docs/soak.md", "docs/fleet.md", "docs/leaks.md", "docs/recordings.md"),
        *("docs/screen.md", "docs/containers.md", "docs/runbooks.md"),
    ),
    "Reference": (
        *("docs/commands.md", "docs/metrics.md", "docs/invariants.md", "docs/kernels.md", "docs/glossary.md"),
        *("docs/selftest.md", "CHANGELOG.md"),
    ),
    "Explanation": (
        *(
            "docs/numbers.md",
            "docs/savings.md",
            "docs/costs.md",
            "docs/privileges.md",
            "docs/architecture.md",
            "docs/principles.md",
            "docs/comparison.md",
            "docs/locks.md",
        ),
        *("docs/lives.md", "docs/soak-truth.md"),
    ),
    "Taking part": ("CONTRIBUTING.md", "SECURITY.md", "lab/README.md"),
}
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\]|!\[[^\]]*\]\([^)]*\))*)\]\(([^)\s]+)\)")
_WORDS = re.compile(r"^[a-z]+:")


def pages() -> dict[Path, str]:
    """{file of a page: its name in the site}."""
    found = {ROOT / "README.md": "index.md", ROOT / "lab/README.md": "lab.md"}
    for page in (
        *sorted((ROOT / "docs").glob("*.md")),
        *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    ):
        found[page] = page.name
    return found


def rewritten(page: Path, known: dict[Path, str]) -> str:
    """The page with links that lead through the site."""
    fenced, lines = False, []
    for block in re.split(r"(^```.*$)", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
        if block.startswith("```"):
            fenced = not fenced
        lines.append(
            block if fenced or block.startswith("```") else LINK.sub(lambda link: _link(link, page, known), block)
        )
    return "".join(lines)


def _link(link: re.Match[str], page: Path, known: dict[Path, str]) -> str:
    picture, text, target = link.groups()
    name, _, anchor = target.partition("#")
    if _WORDS.match(target) or not name:
        return link[0]
    file = Path(os.path.normpath(page.parent / name))
    if picture:
        return f"![{text}](pictures/{file.name})"
    if file in known:
        return f"[{text}]({known[file]}{'#' + anchor if anchor else ''})"
    if not file.exists():
        raise SystemExit(f"site: {page.relative_to(ROOT)} links to {target}, which is not there")
    return text


def nav(known: dict[Path, str]) -> list[dict[str, object]]:
    left = dict(known)
    left.pop(ROOT / "README.md")
    chapters: list[dict[str, object]] = [{"lazyobs": "index.md"}]
    for title, files in CHAPTERS.items():
        chapters.append({title: [left.pop(ROOT / file) for file in files if ROOT / file in left]})
    if left:
        chapters.append({"More": list(left.values())})
    return chapters


def configuration(source: Path, out: Path, known: dict[Path, str]) -> dict[str, object]:
    return {
        "site_name": "lazyobs",
        "docs_dir": str(source),
        "site_dir": str(out),
        "use_directory_urls": False,
        "theme": {"name": "material", "font": False, "features": ["navigation.tabs", "content.code.copy"]},
        "plugins": ["search"],
        "markdown_extensions": ["tables", "fenced_code", {"toc": {"permalink": True}}],
        "validation": {"links": {"anchors": "warn", "unrecognized_links": "warn", "not_found": "warn"}},
        "nav": nav(known),
    }


def main() -> None:
    out, known = Path(sys.argv[1]).resolve(), pages()
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "docs")
        shutil.copytree(ROOT / "docs/pictures", source / "pictures")
        for page, name in known.items():
            (source / name).write_text(rewritten(page, known), encoding="utf-8")
        # YAML is a superset of JSON.
        Path(scratch, "mkdocs.yml").write_text(json.dumps(configuration(source, out, known)))
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", f"{scratch}/mkdocs.yml"]
        environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        if subprocess.run(command, check=False, env=environment).returncode:
            sys.exit("site: a link leads nowhere, or mkdocs-material is missing: pip install -e '.[site]'")
    elsewhere = {
        address
        for page in out.rglob("*.html")
        for address in re.findall(
            r"<(?:script|link|img)[^>]* (?:src|href)=\"?(https?:[^\" >]+)", page.read_text(encoding="utf-8")
        )
    }
    if elsewhere:
        sys.exit(f"site: it would load {', '.join(sorted(elsewhere))}")
    print(out / "index.html")
    print(f"open it, or serve it, which its search takes: python3 -m http.server -b 127.0.0.1 -d {out}")


if __name__ == "__main__":
    main()
