# SPDX-License-Identifier: MIT
"""What a cover letter claims in numbers, beside what was found.

A sentence is taken for a claim where one of the patterns of ``CLAIMS`` fits it; other sentences with numbers are listed
as not decided, in the author's words, lest they be taken for checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lazyobs.judge.series import Series
from lazyobs.text import printable

HOLDS, BROKEN, OPEN = "holds", "does not hold", "not decided"
_SENTENCE = re.compile(r"(?<=[.;:!?])\s+(?=[A-Z\"*(-])|\n\s*\n")
_MOST_OPEN = 8
_MOST_LETTERS = 240
_MOST_OF_SENTENCE = 2000  # letters: the patterns take time by the square of them
_WORDS = {"one": 1, "two": 2, "three": 3}
# A sentence with a number and one of these is about what can be measured.
_ABOUT = re.compile(r"anon_vma|\bchains?\b|\bfork|\bfault|\bslab|\bbytes?\b|\bmemory\b|\brwsem|\block|\bVMAs?\b", re.I)
_NUMBER = re.compile(r"(?<![\w./-])\d[\d,.]*(?![\w-])|%")
# Such a sentence is about another series.
_OF_ANOTHER = re.compile(r"\[(?:\w+ )?PATCH")
_STATISTICS = re.compile(r"^\s*(?:\S+ +\|? +\d+ [-+]*|.*\d+ files? changed|#|\[|Subject:|Signed-off)")


@dataclass(frozen=True)
class Claim:
    """``said``: the author's words; ``found``: ours, with numbers; ``outcome``: one of the three words."""

    said: str
    expected: str
    found: str
    outcome: str

    def as_json(self) -> dict[str, str]:
        return dict(vars(self))


@dataclass(frozen=True)
class Evidence:
    """``card``: of the arm; ``memory``: {"alone.anon_vma": (base, new)} bytes, means over boots; None without."""

    series: Series
    card: Mapping[str, Any] | None
    memory: Mapping[str, tuple[float, float]] | None


def claims(cover: str, evidence: Evidence) -> list[Claim]:
    """Those that a pattern fits, and then the sentences that none does and that have numbers."""
    found: list[Claim] = []
    left: list[Claim] = []
    for sentence in sentences(cover):
        own = [claim for pattern, decide in CLAIMS for match in pattern.finditer(sentence) if (claim := decide(sentence, match, evidence))]  # fmt: skip
        found += own
        if not own and _NUMBER.search(sentence) and _ABOUT.search(sentence):
            left.append(Claim(shown(sentence), "", "no test of ours is for it", OPEN))
    return list(dict.fromkeys(found)) + left[:_MOST_OPEN]


def sentences(cover: str) -> Iterator[str]:
    """Of the text, each on one line; not of diffstats and trailers."""
    lines = [line for line in cover.splitlines() if not _STATISTICS.match(line)]
    for part in _SENTENCE.split("\n".join(lines)):
        if words := " ".join(part.split()):
            yield words[:_MOST_OF_SENTENCE]


def shown(sentence: str) -> str:
    plain = printable(sentence)
    return plain if len(plain) <= _MOST_LETTERS else plain[: _MOST_LETTERS - 4].rsplit(" ", 1)[0] + " ..."


def _number(word: str) -> int:
    return _WORDS[word.lower()] if word.lower() in _WORDS else int(word.replace(",", ""))


def _struct(evidence: Evidence, name: str) -> tuple[int | None, int | None] | None:
    """Bytes before and after of a struct; both None where it did not change. None without a card."""
    structs = (evidence.card or {}).get("structs")
    if structs is None:
        return None
    row = next((row for row in structs if row["struct"] == name), None)
    return (row["before"], row["after"]) if row else (None, None)


def _size_changes(sentence: str, match: re.Match[str], evidence: Evidence) -> Claim | None:
    name, before, after = match[1], _number(match[2]), _number(match[3])
    expected = f"struct {name}: {before} to {after} bytes"
    sizes = _struct(evidence, name)
    if sizes is None:
        return Claim(shown(sentence), expected, "the sizes are not known", OPEN)
    if sizes == (None, None):
        return Claim(shown(sentence), expected, "its size is the same in both images", BROKEN)
    outcome = HOLDS if sizes == (before, after) else BROKEN
    if outcome == BROKEN and None not in sizes and _change(sizes) == after - before:
        return Claim(
            shown(sentence), expected, f"{sizes[0]} to {sizes[1]} bytes as configured here: the same difference", HOLDS
        )
    return Claim(shown(sentence), expected, f"{sizes[0]} to {sizes[1]} bytes", outcome)


def _change(sizes: tuple[int | None, int | None]) -> int:
    return (sizes[1] or 0) - (sizes[0] or 0)


def _size_stays(sentence: str, match: re.Match[str], evidence: Evidence) -> Claim | None:
    if not re.search(r"\bkeeps? (?:its|their) size", sentence):
        return None
    name = match[1]
    sizes = _struct(evidence, name)
    expected = f"struct {name} keeps its size"
    if sizes is None:
        return Claim(shown(sentence), expected, "the sizes are not known", OPEN)
    if sizes[0] == sizes[1]:
        return Claim(shown(sentence), expected, "the same in both images", HOLDS)
    return Claim(shown(sentence), expected, f"{sizes[0]} to {sizes[1]} bytes", BROKEN)


def _lines(sentence: str, match: re.Match[str], evidence: Evidence) -> Claim | None:
    """ "8 files, +296 lines outside tests": of a version of the series that may not be this one."""
    if _OF_ANOTHER.search(sentence):
        return None
    files = {file: lines for file, lines in evidence.series.files().items() if "outside tests" not in sentence or not _is_test(file)}  # fmt: skip
    added = sum(lines[0] for lines in files.values())
    expected = f"{match[1]} files, +{match[2]} lines"
    outcome = HOLDS if (len(files), added) == (_number(match[1]), _number(match[2])) else BROKEN
    return Claim(shown(sentence), expected, f"{len(files)} files, +{added} lines", outcome)


def _is_test(file: str) -> bool:
    return file.startswith(("tools/testing/", "lib/test")) or "kunit" in file


def _allocates_nothing(sentence: str, _match: re.Match[str], evidence: Evidence) -> Claim | None:
    expected = "5,003 VMAs of one process: no anon_vma and no chain for each"
    if evidence.memory is None or "alone.anon_vma" not in evidence.memory:
        return Claim(shown(sentence), expected, "memory was not measured", OPEN)
    base = evidence.memory["alone.anon_vma"][0] + evidence.memory["alone.anon_vma_chain"][0]
    new = evidence.memory["alone.anon_vma"][1] + evidence.memory["alone.anon_vma_chain"][1]
    each = new / 5003
    return Claim(
        shown(sentence),
        expected,
        f"{base / 5003:.1f} bytes a VMA before, {each:.1f} after",
        HOLDS if each < 1 else BROKEN,
    )


CLAIMS: tuple[tuple[re.Pattern[str], Callable[[str, re.Match[str], Evidence], Claim | None]], ...] = (
    (re.compile(r"\b(?:struct )?(\w+) (?:grows?|shrinks?|goes|went|is reduced) from (\d+) to (\d+) bytes"), _size_changes),
    (re.compile(r"\bstruct (\w+)(?=[^.;]*\bkeeps? (?:its|their) size)"), _size_stays),
    (re.compile(r"\b(\d+) files, \+?(\d[\d,]*) lines"), _lines),
    (re.compile(r"\b(?:touched|first fault|faulted)\b.*\ballocates? nothing\b|\bso a lazy VMA costs nothing\b", re.I), _allocates_nothing),
)  # fmt: skip
