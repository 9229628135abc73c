# SPDX-License-Identifier: MIT
"""The verdict as a page that needs nothing else and reaches nothing else; and the same while judge is at work.

It has no script. Whatever a series, a kernel or a log says is text in it.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lazyobs.text import NULL, printable

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em; color: #222; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; } table { border-collapse: collapse; margin: .6em 0; }
th, td { text-align: left; padding: .2em .8em .2em 0; border-bottom: 1px solid #ddd; vertical-align: top; }
.PASS { color: #176617; } .FAIL { color: #a11212; } .INCONCLUSIVE { color: #8a5a00; } pre { white-space: pre-wrap; }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd; } th, td { border-color: #444; }
.PASS { color: #7fd07f; } .FAIL { color: #ff8a8a; } .INCONCLUSIVE { color: #e5b566; } }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(document: Mapping[str, Any], progress: Sequence[str] = ()) -> str:
    """``progress``: lines of what is done and what is left, while judge is at work; the page then loads itself anew."""
    return "".join(_parts(document, progress))


def _text(value: object) -> str:
    return html.escape(printable(str(value)))


def _parts(document: Mapping[str, Any], progress: Sequence[str]) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
    if progress:
        yield '<meta http-equiv="refresh" content="10">\n'
    yield f"<title>lazyobs judge: {_text(document['word'] if not progress else 'at work')}</title>\n"
    yield f"<style>{_STYLE}</style></head><body>\n"
    if progress:
        yield (
            "<h1>lazyobs judge: at work</h1>\n<ul>"
            + "".join(f"<li>{_text(line)}</li>" for line in progress)
            + "</ul>\n"
        )
    else:
        yield f'<h1>lazyobs judge: <span class="{_text(document["word"])}">{_text(document["word"])}</span></h1>\n'
    base = document["base"]
    yield f"<p>Base: {_text(base['name'])} {_text(base['version'])}{_text(', with ' + ', '.join(base['options']) if base.get('options') else '')}</p>\n"
    for arm in document["arms"]:
        yield from _arm(arm)
    yield f"<h2>To run it again</h2>\n<pre>{_text(document['run']['again'])}</pre>\n</body></html>\n"


def _arm(arm: Mapping[str, Any]) -> Iterator[str]:
    series = arm["series"]
    yield f"<h2>{_text(arm['arm'])}: {_text(series['subject'])}</h2>\n"
    yield f'<p class="{_text(arm["word"])}"><b>{_text(arm["word"])}</b>: {_text(arm["said"])}</p>\n'
    findings = [(one["outcome"], one["part"], one["name"], one["text"]) for one in arm["findings"]]
    yield from _table("Findings", ("outcome", "part", "what", "found"), findings)
    claims = [(one["outcome"], one["said"], one["found"]) for one in arm["claims"]]
    yield from _table("What the cover letter says", ("outcome", "its words", "found"), claims)
    card = arm["card"]
    if card:
        structs = [(one["struct"], one["before"], one["after"], ", ".join(f"{field['field']} {field['what']}" for field in one["fields"])) for one in card["structs"] or []]  # fmt: skip
        yield from _table("Structs that change", ("struct", "bytes before", "bytes after", "fields"), structs)
        functions = card["functions"]
        names = [("new", ", ".join(one["function"] for one in functions["new"]))]
        names += [(key.replace("_", " "), ", ".join(functions[key])) for key in ("new_inlined", "gone", "inlined_away")]
        names += [("renamed", f"{one['before']} to {one['after']}") for one in functions["renamed"]]
        yield from _table("Functions", ("what", "functions"), [row for row in names if row[1]])
        prototypes = [(one["before"], one["after"]) for one in card["prototypes"] or []]
        yield from _table("Prototypes that change", ("before", "after"), prototypes)
        yield from _table("Lines by file", ("file", "added", "removed"), [(one["file"], one["added"], one["removed"]) for one in card["files"]])  # fmt: skip
        if card["probes"] and card["probes"]["design"].get("draft"):
            yield f"<h3>A draft of a profile for its design</h3>\n<pre>{_text_lines(card['probes']['design']['draft'])}</pre>\n"
    for table in arm["tables"]:
        yield from _table(table["title"], table["headings"], table["rows"])


def _text_lines(text: str) -> str:
    return "\n".join(_text(line) for line in text.splitlines())


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    if not rows:
        return
    yield f"<h3>{_text(title)}</h3>\n<table><tr>" + "".join(f"<th>{_text(one)}</th>" for one in headings) + "</tr>\n"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{_text(NULL if one is None else one)}</td>" for one in row) + "</tr>\n"
    yield "</table>\n"
