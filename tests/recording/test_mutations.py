# SPDX-License-Identifier: MIT
"""Recordings with one byte changed, or cut short: every command that reads them says so, or shows the same numbers.

Half of the changes are tried at the one place through which all commands read, and the commands themselves on one in 80
of that half. LAZYOBS_MUTATIONS=all tries all of them, in both forms, with each command; a number as its value is another
seed.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lazyobs.errors import EXIT_REFUSED
from lazyobs.recording.directory import Directory
from lazyobs.recording.errors import RecordingError
from lazyobs.recording.layout import RESERVE, TABLES
from lazyobs.recording.reader import Recording
from lazyobs.recording.writer import Store
from tests.recording import made
from tests.recording.made import event_rows
from tests.recording.readers import COMMANDS, Answer
from tests.recording.samples import sample

_ASKED = os.environ.get("LAZYOBS_MUTATIONS", "")
SEED = int(_ASKED) if _ASKED.isdigit() else 13
CHANGES, CUTS = 4000, 500
_SHARE = 1 if _ASKED == "all" else 80  # one of so many is tried
COUNT = CHANGES + CUTS if _ASKED == "all" else (CHANGES + CUTS) // 2
FORMS = ("parquet", "arrows")
SAMPLES = 7
# A description whose "checksum" has another name is taken for one that somebody edited, and report says so.
_WORDS = ("is damaged", "cut off in", "holds no sample", "samples are not in the order", "not checksummed")


class Mutation(NamedTuple):
    """``bit`` None: the file ends at ``place``; 0 to 7: that bit of the byte is flipped; 8: it is another byte."""

    file: str
    place: int
    bit: int | None
    byte: int = 0

    def of(self, content: bytes) -> bytes:
        if self.bit is None:
            return content[: self.place]
        changed = bytearray(content)
        changed[self.place] = changed[self.place] ^ 1 << self.bit if self.bit < 8 else self.byte
        return bytes(changed)


def mutations(path: Path, form: str) -> Iterator[Mutation]:
    """Half of CHANGES and CUTS, or all, the same for the same seed: in each file alike, in each byte of a file alike."""
    chance = random.Random(f"{SEED} {form}")
    files = sorted(file.name for file in path.iterdir() if file.suffix in (".json", f".{form}"))
    for number in range(COUNT):
        file = chance.choice(files)
        content = (path / file).read_bytes()
        place = chance.randrange(len(content))
        if number % 9 == 0:
            yield Mutation(file, place, None)
            continue
        byte = (content[place] + chance.randrange(1, 256)) % 256
        yield Mutation(file, place, chance.randrange(9), byte)


def make(path: Path, boot: str, finish: bool) -> Path:
    """A recording with something in each table."""
    store = Store(Directory(str(path)), {"release": "6.1.0", "boot_id": boot}, 1.0, ("vmstat_pgfault",))
    for number in range(1, SAMPLES + 1):
        store.append("events", event_rows(made.events(number * 23, 23), 1_800_000_000 * 10**9))
        time = sample(number, 0).time
        store.append("system", {"number": [number], "time": [time], "vmstat_pgfault": [number * 101]})
        store.append("kernel_log", {
            "time": [time], "sequence": [number], "level": [4], "since_boot": [float(number)], "kind": ["WARN"], "text": ["WARNING: x"],
        })  # fmt: skip
        made.append_sample(store, number, 3)
    store.append("marks", {"time": [time], "stamp": [8 * 10**9], "kind": ["end"], "value": [None], "text": ["ended"]})
    if finish:
        store.close()
    else:
        (path / RESERVE).unlink()
    return path


@pytest.fixture(scope="module", params=FORMS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording, finished or not, and beside it another."""
    root: Path = tmp_path_factory.mktemp("mutations")
    make(root / "base", "c0ffee", finish=True)
    return make(root / str(request.param), "decade", finish=request.param == "parquet")


def is_honest(command: str, before: Answer, after: Answer) -> bool:
    """It refused in one line, or named the damage, or shows what it showed before, or less of it with a word."""
    if after.status == EXIT_REFUSED:
        return after.out in ("", before.out[: len(after.out)]) and len(after.err.splitlines()) <= 2
    said = after.err + (after.out if command in ("report", "compare") else "")
    if any(word in said for word in _WORDS):
        return True
    if "has no end" in said and before.out.startswith(after.out.rpartition("\n")[0]):
        return True  # cut off behind a whole message
    return after.out == before.out


def rows_of(path: Path, tables: tuple[str, ...] = TABLES) -> dict[str, list[Any]]:
    """What a reader gets of a recording: rows of those tables, its identity, and what is said to be missing."""
    recording = Recording(str(path))
    found: dict[str, list[Any]] = {"identity": [recording.identity, recording.interval]}
    for table in tables:
        found[table] = [
            row
            for segment in recording.segments
            for batch in recording.batches(table, segment)
            for row in batch.to_pylist()
        ]
        assert all(names for _, names in recording.parquet_files(table))
    found["notes"] = [note for note in recording.notes() if "is damaged" in note or "cut off" in note]
    recording.close()
    return found


def test_no_row_is_another(whole: Path, tmp_path: Path) -> None:
    """All of the changes, at the one place through which every command reads."""
    path = tmp_path / "r"
    shutil.copytree(whole, path)
    before = rows_of(path)
    assert before["notes"] == []
    silent, refused, noted, harmless, behind_a_message = [], 0, 0, 0, 0
    contents = {file.name: file.read_bytes() for file in path.iterdir()}
    for mutation in mutations(whole, whole.name):
        file = path / mutation.file
        file.write_bytes(mutation.of(contents[mutation.file]))
        try:
            table = mutation.file.partition("-")[0]
            after = before | rows_of(path, (table,) if table in TABLES else ("samples",))
        except RecordingError as error:
            assert len(str(error).splitlines()) == 1
            refused += 1
        else:
            same = {name for name in before if after[name] == before[name]}
            if same == set(before):
                harmless += 1
            elif after["notes"] and all(_is_part(after[name], before[name]) for name in set(before) - {"notes"}):
                noted += 1
            elif (
                mutation.bit is None
                and same == set(before) - {table}
                and before[table][: len(after[table])] == after[table]
            ):
                behind_a_message += 1  # cut off exactly behind a message: "has no end" is said of it, as before
            else:
                silent.append(mutation)
        file.write_bytes(contents[mutation.file])
    assert silent == []
    assert refused + noted + harmless + behind_a_message == COUNT
    assert refused + noted > 0.9 * COUNT and behind_a_message < 0.01 * COUNT
    print(
        f"{whole.name}: {refused} refused, {noted} with what is lost, {harmless} harmless, {behind_a_message} cut off behind a message"
    )


def _is_part(rows: list[Any], of: list[Any]) -> bool:
    """Whether all rows are among those others, in their order."""
    left = iter(of)
    return all(any(row == other for other in left) for row in rows)


class Tried(NamedTuple):
    """What the commands said of changes. ``words``: of each change, of all its commands the first of silent, refused,
    told, harmless that one of them was. ``changed``: for how many changes each command said something else."""

    words: Counter[str]
    changed: Counter[str]
    silent: list[tuple[Any, ...]]


def try_each(path: Path, chosen: Iterable[Mutation]) -> Tried:
    """Each command on each of the changes of that recording, which is as it was afterwards."""
    before = {name: run(str(path)) for name, run in COMMANDS.items()}
    for name, answer in before.items():
        assert answer.out, (name, answer.err)
        assert not any(word in answer.err for word in _WORDS), (name, answer.err)
    tried = Tried(Counter(), Counter(), [])
    for mutation in chosen:
        file = path / mutation.file
        content = file.read_bytes()
        file.write_bytes(mutation.of(content))
        words = set()
        for name, run in COMMANDS.items():
            after = run(str(path))
            if not is_honest(name, before[name], after):
                tried.silent.append((name, mutation, after.status, after.err[:200]))
                words.add("silent")
            elif after.status == EXIT_REFUSED:
                words.add("refused")
            elif after.out != before[name].out or after.err != before[name].err:
                words.add("told")
            tried.changed[name] += after != before[name]
        file.write_bytes(content)
        tried.words[next((word for word in ("silent", "refused", "told") if word in words), "harmless")] += 1
    return tried


@pytest.mark.slow
def test_each_is_reported_or_harmless(whole: Path, tmp_path: Path) -> None:
    form = whole.name
    path = tmp_path / "r"
    shutil.copytree(whole, path)
    shutil.copytree(whole.parent / "base", tmp_path / "base")
    chosen = [mutation for number, mutation in enumerate(mutations(whole, form)) if number % _SHARE == 0]
    tried = try_each(path, chosen)
    assert tried.silent == [], f"{len(tried.silent)} of {len(chosen)} (seed {SEED})"
    if form == "parquet":
        assert min(tried.changed[name] for name in COMMANDS) > 0, "each command reads some of the files"
        assert tried.changed["report"] > len(chosen) / 2, "report reads all, and most bytes of a checked file matter"
    print(form, len(chosen), dict(tried.words), dict(tried.changed))
