# SPDX-License-Identifier: MIT
"""What is said of a folder's data: the word, the first reason, claims; and that it is the same each time."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from lazyobs.errors import UsageError
from lazyobs.judge import claims, measure, run, schema, series, state
from lazyobs.judge.run import _document
from tests.harness import ROOT, lazyobs
from tests.judge.folders import COSTS, EVIL, MEMORY, add_checks, add_measured, boot, complete, folder

SCHEMA = json.loads((ROOT / "lazyobs/judge/verdict.schema.json").read_text())


def said(found: state.Folder) -> dict:
    document = json.loads(json.dumps(_document(found), allow_nan=False))
    jsonschema.validate(document, SCHEMA)
    return document


def first(found: state.Folder) -> str:
    (arm,) = said(found)["arms"]
    return f"{arm['word']} {arm['said']}"


def test_the_schema_is_the_one_that_is_kept() -> None:
    assert schema.judgement_schema() == SCHEMA


def test_kernels_that_do_the_same(tmp_path: Path) -> None:
    for number in range(5):
        assert first(complete(tmp_path / str(number), noise=0.004)) == "PASS no difference"


def test_less_memory(tmp_path: Path) -> None:
    found = complete(tmp_path, memory={"anon_vma": 0, "anon_vma_chain": 0})
    assert first(found).startswith("PASS better in 3 of 16 numbers, worse in none; slab memory of the workloads -30.4%")


@pytest.mark.parametrize("name", ["first_touch", "fork", "migrate"])
def test_an_operation_that_takes_six_percent_longer_is_found(tmp_path: Path, name: str) -> None:
    found = complete(tmp_path, costs={name: COSTS[name] * 1.06})
    assert first(found).startswith(f"FAIL {measure.COSTS[name]}: +6.0%, margin +5.0%: worse")


def test_memory_that_grows_is_found(tmp_path: Path) -> None:
    found = complete(tmp_path, memory={"vm_area_struct": MEMORY["vm_area_struct"] * 1.2})
    assert first(found).startswith("FAIL memory: 5003 VMAs of one process: +")


def test_fewer_boots_than_are_needed_decide_nothing(tmp_path: Path) -> None:
    found = folder(tmp_path)
    for flavour in ("plain", "debug"):
        add_checks(found, "new", flavour)
    add_measured(found, "base", 2)
    add_measured(found, "new", 2, costs={"fork": 20_000.0})
    assert first(found).startswith("INCONCLUSIVE")


@pytest.mark.parametrize("step", ["boot", "kselftest", "moves", "stress", "leak", "battery"])
def test_a_failed_check_is_the_first_reason(tmp_path: Path, step: str) -> None:
    found = complete(tmp_path)
    add_checks(found, "new", "plain", {step: "it went wrong"})
    assert first(found) == f"FAIL {step}, plain: it went wrong"


def test_what_the_base_fails_too_is_not_the_series(tmp_path: Path) -> None:
    found = complete(tmp_path)
    for arm in ("base", "new"):
        add_checks(found, arm, "plain", {"battery": "scenario swap: no"})
    document = said(found)
    assert document["word"] == "INCONCLUSIVE"
    (row,) = [one for one in document["arms"][0]["findings"] if one["name"] == "battery, plain"]
    assert row["outcome"] == "INCONCLUSIVE" and "but the base fails it, too: scenario swap: no" in row["text"]


def test_a_series_that_does_not_build(tmp_path: Path) -> None:
    found = folder(tmp_path)
    found.add_build("new-plain", {"image": "", "seconds": 0, "why": "does not build: mm/rmap.c:7:1: error: x"})
    assert first(found) == "FAIL build, plain: does not build: mm/rmap.c:7:1: error: x"


@pytest.mark.parametrize(
    "last, text",
    [
        ({"failure": "did not come up: Kernel panic - not syncing: x", "status": None, "up": False}, "boot, plain: the kernel did not come up: Kernel panic"),
        ({"failure": "did not come up in 3600 s (--timeout)", "status": None, "hung": True}, "boot, plain: the kernel did not come up in 3600 s"),
        ({"status": 124, "hung": True, "output": '{"begin": "stress"}\n'}, "stress, plain: the kernel hung in stress: no end within the time"),
        ({"failure": "died during the command: Oops: 0000", "status": None, "output": '{"begin": "moves"}\n', "splats": ("BUG: KASAN: x",)}, "moves, plain: the kernel died during the command: Oops: 0000 in moves; first it said: BUG: KASAN: x"),
        ({"splats": ("WARNING: mm/rmap.c:7 at x",)}, "boot, plain: the kernel complained: WARNING: mm/rmap.c:7 at x"),
        ({"status": 1, "output": '{"begin": "leak"}\n', "errors": "Traceback\nOSError: x\n"}, "leak, plain: the tests ended in leak with status 1: OSError: x"),
    ],
)  # fmt: skip
def test_a_kernel_that_dies_hangs_or_complains(tmp_path: Path, last: dict, text: str) -> None:
    found = folder(tmp_path)
    add_checks(found, "new", "plain", last=boot(**last))
    assert first(found).startswith(f"FAIL {text}")


def test_a_flavour_that_was_not_asked_for_is_no_open_question(tmp_path: Path) -> None:
    found = folder(tmp_path)
    settings = found.settings()
    found.write(state.SETTINGS, {**settings, "run": {**settings["run"], "flavours": ["plain"]}})
    for arm in ("base", "new"):
        add_checks(found, arm, "plain")
        add_measured(found, arm)
    (arm_found,) = said(found)["arms"]
    assert (arm_found["word"], arm_found["said"]) == ("PASS", "no difference")
    assert ("kernel, debug", "") in [(row["name"], row["outcome"]) for row in arm_found["findings"]]


def test_functions_that_never_ran_are_named(tmp_path: Path) -> None:
    (arm,) = said(complete(tmp_path))["arms"]
    (row,) = [one for one in arm["findings"] if one["name"] == "new functions"]
    assert row["text"] == "1 of 2 new functions ran; never: never"


def test_claims_are_decided_one_by_one(tmp_path: Path) -> None:
    (arm,) = said(complete(tmp_path, memory={"anon_vma": 0, "anon_vma_chain": 0}))["arms"]
    assert [(row["expected"], row["found"], row["outcome"]) for row in arm["claims"]] == [
        ("struct anon_vma: 88 to 104 bytes", "88 to 104 bytes", "holds"),
        ("struct vm_area_struct keeps its size", "the same in both images", "holds"),
        ("struct mm_struct keeps its size", "the same in both images", "holds"),
        ("1 files, +1 lines", "1 files, +1 lines", "holds"),
        (
            "5,003 VMAs of one process: no anon_vma and no chain for each",
            "168.0 bytes a VMA before, 0.0 after",
            "holds",
        ),
        ("", "no test of ours is for it", "not decided"),
    ]
    assert arm["claims"][-1]["said"] == "A fork takes 3 % longer than before."
    (arm,) = said(complete(tmp_path / "other"))["arms"]
    assert arm["claims"][4]["outcome"] == "does not hold"


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    complete(tmp_path)
    names = (state.LETTER, state.VERDICT, state.PAGE)
    assert run.again(tmp_path) == 0
    first = [(tmp_path / name).read_bytes() for name in names]
    done = lazyobs("judge", "--again", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / name).read_bytes() for name in names] == first
    assert done.stdout.encode() == first[0]
    assert list(json.loads((tmp_path / state.VERDICT).read_text())) == list(SCHEMA["properties"])


def test_the_letter_is_ascii_of_72_columns(tmp_path: Path) -> None:
    complete(tmp_path, costs={"fork": 11_000.0})
    assert run.again(tmp_path) == 1
    text = (tmp_path / state.LETTER).read_text()
    assert text.isascii() and max(map(len, text.splitlines())) <= 72
    assert text.startswith("lazyobs judge: FAIL\n  later fork and exit, 101 VMAs: +10.0%")
    assert "  lazyobs judge 'a series.mbox' --base linux-source-7.3\n" in text


def test_several_arms_are_each_judged(tmp_path: Path) -> None:
    found = folder(tmp_path, ("new", "rival"))
    for arm in ("base", "new", "rival"):
        add_checks(found, arm, "plain")
        add_checks(found, arm, "debug")
        add_measured(found, arm, costs={"move": 20_000.0} if arm == "rival" else {})
    document = said(found)
    assert [(arm["arm"], arm["word"]) for arm in document["arms"]] == [("new", "PASS"), ("rival", "FAIL")]
    assert document["word"] == "FAIL"
    assert run.again(tmp_path) == 1
    assert (tmp_path / state.LETTER).read_text().splitlines()[1:3] == [
        "  new: PASS, no difference",
        "  rival: FAIL, mremap and touch: +99.9%, margin +5.0%: worse, and that",
    ]


def test_b4_gets_its_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    complete(tmp_path, costs={"fork": 11_000.0})
    assert run.again(tmp_path, as_b4=True) == 1
    (check,) = json.loads(capsys.readouterr().out)
    assert (check["tool"], check["status"]) == ("lazyobs", "fail")
    assert (
        check["summary"].startswith("later fork and exit") and check["details"] == (tmp_path / state.LETTER).read_text()
    )


def test_what_a_kernel_and_a_series_say_is_text(tmp_path: Path) -> None:
    found = complete(tmp_path)
    add_checks(found, "new", "plain", last=boot(failure=f"died: {EVIL}", status=None, errors=EVIL, splats=(EVIL,)))
    (tmp_path / "series/new/0001.patch").write_text(
        f"Subject: [PATCH 0/1] {EVIL}\n\n<script>alert(1)</script> 23 VMAs {EVIL}\n"
    )
    assert run.again(tmp_path) == 1
    for name in (state.LETTER, state.PAGE):
        text = (tmp_path / name).read_text()
        assert all(letter.isprintable() or letter == "\n" for letter in text), name
        assert "<script" not in text or name == state.LETTER


@pytest.mark.parametrize(
    "name, text, why",
    [
        (state.SETTINGS, None, "has no judge.json"),
        (state.SETTINGS, "{", "is damaged"),
        (state.SETTINGS, '{"format": 0}', "is of another version"),
        ("builds.json", "[]", "is damaged"),
        ("boots/new-001.json", "nothing", "is damaged"),
    ],
)
def test_a_damaged_folder_is_one_line(tmp_path: Path, name: str, text: str | None, why: str) -> None:
    complete(tmp_path)
    if text is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=re.escape(why)):
        run.again(tmp_path)


def test_the_claims_of_our_own_cover_letter() -> None:
    """Those with a pattern are decided, what it says of another series is not taken for a claim."""
    patches = ROOT / "lab" / "patches"
    ours = series.read(sorted(patches.glob("v2-000*.patch")), patches / "cover-letter.txt")
    card = {"structs": [{"struct": "anon_vma", "before": 88, "after": 104}]}
    memory = {"alone.anon_vma": (5003 * 104.0, 104.0), "alone.anon_vma_chain": (5003 * 64.0, 64.0)}
    found = claims.claims(ours.cover, claims.Evidence(ours, card, memory))
    assert [(row.expected, row.outcome) for row in found if row.outcome != claims.OPEN] == [
        ("8 files, +296 lines", claims.HOLDS),
        ("struct anon_vma: 88 to 104 bytes", claims.HOLDS),
        ("struct vm_area_struct keeps its size", claims.HOLDS),
        ("struct mm_struct keeps its size", claims.HOLDS),
        ("5,003 VMAs of one process: no anon_vma and no chain for each", claims.HOLDS),
    ]
    card["structs"].append({"struct": "mm_struct", "before": 1024, "after": 1032})
    found = claims.claims(
        ours.cover, claims.Evidence(ours, card, {**memory, "alone.anon_vma_chain": (1.0, 5003 * 64.0)})
    )
    broken = [(row.expected, row.found) for row in found if row.outcome == claims.BROKEN]
    assert broken == [
        ("struct mm_struct keeps its size", "1024 to 1032 bytes"),
        ("5,003 VMAs of one process: no anon_vma and no chain for each", "104.0 bytes a VMA before, 64.0 after"),
    ]


def test_the_letter_in_docs_could_be_mailed() -> None:
    lines = (ROOT / "docs/example-letter.txt").read_text().splitlines()
    assert lines[0] == "lazyobs judge: FAIL" and max(map(len, lines)) <= 72
    assert any(line.startswith("* first fork and exit, 101 VMAs: +10.7%") for line in lines)


@pytest.mark.parametrize(
    "words", ["a grows from 1 to 2 bytes ", "struct a keep ", "1 files, +2 lines ", "touched allocate "]
)
def test_a_sentence_without_end_takes_no_hours(words: str) -> None:
    """By the square of its length these took minutes."""
    nothing = claims.Evidence(series.Series([]), None, None)
    found = claims.claims(f"A fork takes 1 chain {words * 60_000}.", nothing)
    assert found and all(len(claim.said) <= 240 for claim in found)


ODD = {"huge": str(10**400), "nan": "NaN", "infinite": "-Infinity", "overflows": "1e999", "deep": "[" * 900 + "]" * 900}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize(
    "name, key",
    [
        (state.SETTINGS, "began"),
        ("builds.json", "seconds"),
        ("card-new.json", "elsewhere"),
        ("boots/base-003.json", "alone.anon_vma"),
        ("boots/new-002.json", "migrate"),
    ],
)
def test_numbers_that_nothing_can_count_with_are_damage(tmp_path: Path, name: str, key: str, odd: str) -> None:
    """The builder of a patch can write them there. They ended in a traceback, or in a verdict.json that is no JSON."""
    complete(tmp_path)
    text = (tmp_path / name).read_text()
    changed, count = re.subn(rf'("{key}": )[\d.]+', rf"\g<1>{odd}", text)
    assert count
    (tmp_path / name).write_text(changed)
    with pytest.raises(UsageError, match="is damaged"):
        run.again(tmp_path)


@pytest.mark.parametrize(
    "boot",
    [
        {"arm": "new", "kind": "measure", "flavour": "plain", "number": 9, "seconds": 1},
        {"arm": "new", "kind": "measure", "flavour": "plain", "number": "9", "seconds": 1, "why": "", "values": {}},
        {"arm": "new", "kind": "waits", "flavour": "plain", "number": 9, "seconds": 1, "why": "", "waits": []},
        {"arm": "new", "kind": "checks", "flavour": "plain", "number": 9, "seconds": 1, "results": [{"step": "boot"}]},
        {"kind": ["checks"]},
    ],
)
def test_a_boot_that_judge_has_not_written_is_damage(tmp_path: Path, boot: dict) -> None:
    found = complete(tmp_path)
    found.write("boots/new-009.json", boot)
    with pytest.raises(UsageError, match=r"boots/new-009\.json: is damaged"):
        found.boots()


def test_a_folder_full_of_boots_is_refused(tmp_path: Path) -> None:
    """Of a MiB each 5,000 would be read, and take more memory than there is."""
    found = complete(tmp_path)
    text = (tmp_path / "boots/new-001.json").read_text()
    for number in range(100, 140):
        (tmp_path / f"boots/new-{number}.json").write_text(text + " " * ((1 << 20) - len(text)))
    with pytest.raises(UsageError, match=r"boots: has more than 32 MiB of boots"):
        found.boots()


def test_a_claim_of_no_number_is_none(tmp_path: Path) -> None:
    found = complete(tmp_path)
    (tmp_path / "series/new/0001.patch").write_text("Subject: [PATCH 0/1] x\n\n23 files, ,, lines of chains.\n")
    assert run.again(tmp_path) == 0
    assert "23 files, ,, lines of chains." in (tmp_path / state.LETTER).read_text() and found.boots()
