# SPDX-License-Identifier: MIT
"""``lazyobs doctor --against``: what it prints, what it exits with, and the names that a patch changes."""

from __future__ import annotations

import csv
import io
import json
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from lazyobs.bpf import patch_names
from lazyobs.judge import series
from lazyobs.kernel import profile
from tests.harness import lazyobs
from tests.kernel import made_kernel

PATCH = """From: someone
Subject: [PATCH] mm: rename

---
diff --git a/mm/rmap.c b/mm/rmap.c
--- a/mm/rmap.c
+++ b/mm/rmap.c
@@ -10,7 +10,8 @@ int unlink_anon_vmas(struct vm_area_struct *vma)
-int __anon_vma_prepare(struct vm_area_struct *vma)
+int make_anon_vma(struct vm_area_struct *vma)
 {
-    int error;
+    int failed;
 }
-int anon_vma_clone(struct vm_area_struct *dst, struct vm_area_struct *src)
+int anon_vma_clone(struct vm_area_struct *dst, struct vm_area_struct *src,
+                  enum vma_operation operation)
 {
     return 0;
@@ -90,3 +90,3 @@ static void rmap_walk_anon(struct folio *folio,
     cond_resched();
-    x = 1;
+    x = try_to_unmap_one();
     y = 2;
--\x20
2.47.3
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinux"
    path.write_bytes(made_kernel.types())
    return path


def asked(*arguments: object) -> dict[str, Any]:
    answer = lazyobs("doctor", "-o", "json", *map(str, arguments))
    document: dict[str, Any] = json.loads(answer.stdout)
    assert answer.stderr == "" and answer.returncode == bool(document["lost"])
    return document


def test_a_kernel_with_everything(kernel: Path) -> None:
    found = asked("--against", kernel)
    assert found["lost"] == [] and found["patch"] is None
    nulls = {row["number"] for row in found["numbers"] if not row["known"]}
    assert {"lazy_prepares", "promotions", "event.promotion"} <= nulls
    assert not nulls & {"prepares", "rmap_walk_vmas", "lock_waits", "savable_bytes", "fork_seconds", "event.fork"}
    assert [row["invariant"] for row in found["invariants"] if row["watched"]] == ["walk_complete", "walk_visits", "ledger"]  # fmt: skip
    held = next(row for row in found["fields"] if (row["struct"], row["member"]) == ("vm_area_struct", "vm_end"))
    assert (held["offset"], held["size"], held["required"]) == (8, 8, True)


def test_a_kernel_with_cow_contexts_is_known(tmp_path: Path, kernel: Path) -> None:
    """Its names are signs of a design. The profile describes it, so that what is counted is not null."""
    path = tmp_path / "contexts"
    path.write_bytes(made_kernel.types(contexts=True))
    found, plain = asked("--against", path), asked("--against", kernel)
    assert (found["kernel"]["profile"], plain["kernel"]["profile"]) == ("cow-context", "mainline")
    assert found["design"]["draft"] is None  # there is nothing left to describe
    assert [row["number"] for row in found["numbers"] if row["known"]] == [
        row["number"] for row in plain["numbers"] if row["known"]
    ]
    # With a name less it is another design, which no profile describes.
    path.write_bytes(made_kernel.types(contexts=True, without=["drop_cow_context"]))
    other = asked("--against", path)
    assert other["kernel"]["profile"] == "unknown"
    assert "savable_bytes" not in {row["number"] for row in other["numbers"] if row["known"]}


def test_a_renamed_function_is_lost_and_said_in_each_format(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(made_kernel.types(renamed={"rmap_walk_anon": "walk_anon"}))
    assert asked("--against", path)["lost"] == ["rmap_walk"]
    shown = lazyobs("doctor", "--against", str(path))
    assert shown.returncode == 1
    assert "would not attach there: rmap_walk" in shown.stdout and "no rmap_walk_anon (by its types" in shown.stdout
    rows = list(csv.DictReader(io.StringIO(lazyobs("doctor", "-o", "csv", "--against", str(path)).stdout)))
    by_name = {row["name"]: row for row in rows}
    assert by_name["rmap_walk"]["works"] == "False" and by_name["prepare"]["how"] == "fentry"


def test_aliases_of_a_profile_find_it_again(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(made_kernel.types(renamed={"rmap_walk_anon": "walk_anon"}))
    own = tmp_path / "own.toml"
    own.write_text('name = "own"\nabout = ""\n[aliases]\nrmap_walk_anon = ["walk_anon"]\n')
    assert asked("--against", path, "--profile", own)["lost"] == []


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (b"no kernel", (), "is neither BTF nor a vmlinux"),
        (made_kernel.types()[:-1], (), "is damaged: truncated"),
        (made_kernel.types(), ("--symbols", "none"), "none: cannot be read (No such file or directory)"),
        (made_kernel.types(), ("--symbols", "stub"), "it is no symbol table, or only a stub"),
        (made_kernel.types(), ("--symbols", "hidden"), "hides the addresses"),
        (made_kernel.types(), ("--patch", "none"), "none: cannot be read"),
        (made_kernel.types(), ("--patch", "empty"), "empty: has no patch in it"),
        (made_kernel.types(), ("--patch", "stub"), "stub: has no patch in it"),
        (made_kernel.types(), ("--patch", "file"), "file: has no patch in it"),
        (made_kernel.types(), ("--patch", "cut"), "patch mm: rename: "),
        (made_kernel.types(), ("--patch", ""), "the name is empty"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(
    tmp_path: Path, content: bytes, options: tuple[str, ...], said: str
) -> None:
    (tmp_path / "file").write_bytes(content)
    (tmp_path / "stub").write_text("ffffffffffffffff B The real System.map is in a package\n")
    (tmp_path / "empty").touch()
    (tmp_path / "cut").write_text(PATCH[: PATCH.index("     return 0;")])
    (tmp_path / "hidden").write_text("0000000000000000 T anon_vma_clone\n")
    answer = lazyobs("doctor", "--against", "file", *options, cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert said in answer.stderr and answer.stderr.count("\n") == 1


def test_a_patch_that_a_mail_program_has_encoded_is_read(kernel: Path, tmp_path: Path) -> None:
    mail = EmailMessage()
    mail["Subject"] = "[PATCH] mm: rename"
    mail.set_content(PATCH.split("\n\n", 1)[1], cte="base64")
    (tmp_path / "mail").write_bytes(bytes(mail))
    (tmp_path / "series").write_text(PATCH)
    encoded, plain = (asked("--against", kernel, "--patch", tmp_path / name)["patch"] for name in ("mail", "series"))
    assert encoded == plain != []


def test_options_for_another_kernel_go_with_it() -> None:
    answer = lazyobs("doctor", "--patch", "x")
    assert answer.returncode == 2 and "go with --against" in answer.stderr


def test_names_that_a_patch_changes(kernel: Path, tmp_path: Path) -> None:
    (tmp_path / "series").write_text(PATCH)
    rows = {row["name"]: row for row in asked("--against", kernel, "--patch", tmp_path / "series")["patch"]}
    assert {name: row["what"] for name, row in rows.items() if row["what"] != patch_names.USED} == {
        "__anon_vma_prepare": "removed",
        "anon_vma_clone": "altered",
        "rmap_walk_anon": "changed inside",
    }
    assert {"vm_area_struct", "try_to_unmap_one"} <= {
        name for name, row in rows.items() if row["what"] == patch_names.USED
    }
    assert rows["__anon_vma_prepare"]["needed_by"] == ["prepare", "slab"]


@pytest.mark.parametrize("letter", ["\f", "\v", "\x1c", "\x85", "\u2028", "\r"])
def test_a_line_ends_where_the_patch_ends_it(kernel: Path, tmp_path: Path, letter: str) -> None:
    (tmp_path / "series").write_text(
        PATCH.replace("    cond_resched();", f"    a();{letter * 8}b();"), "utf-8", newline=""
    )
    rows = {row["name"]: row["what"] for row in asked("--against", kernel, "--patch", tmp_path / "series")["patch"]}
    assert rows["rmap_walk_anon"] == "changed inside" and rows["__anon_vma_prepare"] == "removed"


def test_short_members_are_seen_where_they_are_declared(kernel: Path, tmp_path: Path) -> None:
    (tmp_path / "series").write_text(
        "--- a/include/linux/rmap.h\n+++ b/include/linux/rmap.h\n@@ -30,4 +30,3 @@ struct anon_vma {\n"
        " \tstruct anon_vma *other;\n-\tstruct rw_semaphore rwsem;\n \tatomic_t count;\n };\n"
    )
    rows = {row["name"]: row["what"] for row in asked("--against", kernel, "--patch", tmp_path / "series")["patch"]}
    assert rows == {"anon_vma": "changed inside", "anon_vma.rwsem": "removed"}


def changed(head: str, *lines: str, file: str = "mm/x.c") -> dict[str, str]:
    """{name: what} of a hunk with these lines."""
    mainline = next(one for one in profile.built_in() if one.name == "mainline")
    rows = [(line[:1], line[1:]) for line in lines]
    return {row.name: row.what for row in patch_names.changed([(file, head, rows)], mainline)}


def test_what_becomes_of_names() -> None:
    removed, altered, inside, used = patch_names.WHAT
    assert changed("enum ttu_flags {", "-\tTTU_SYNC = 0x10,", "+\tTTU_SYNC = 0x20,")["ttu_flags"] == inside
    assert changed("", " enum ttu_flags {", "+\tTTU_NEW = 0x10,")["ttu_flags"] == inside
    assert changed("typedef struct anon_vma {", "-\tstruct rw_semaphore rwsem;")["anon_vma.rwsem"] == removed
    event = ["TRACE_EVENT(contention_begin,", "", "\tTP_PROTO(void *lock, unsigned int flags),"]
    assert changed("", *(f" {line}" for line in event[:2]), f"-{event[2]}")["contention_begin"] == inside
    assert changed("", *(f"-{line}" for line in event))["contention_begin"] == removed
    assert changed("", " EXPORT_SYMBOL(x);", "-int anon_vma_clone(int a)")["anon_vma_clone"] == removed
    plain = "static __attribute__((noinline)) int anon_vma_clone(int a)"
    assert changed("", f"-{plain}")["anon_vma_clone"] == removed
    assert changed("struct task_struct {", "-\tconst struct cred __rcu *cred;")["task_struct.cred"] == removed
    long = changed("struct anon_vma {", "-\tunsigned long num_children;")
    assert long.get("anon_vma.num_children") == removed or "num_children" not in str(long)
    # Words of comments and of parameters are none.
    assert changed("struct task_struct {", "-\t/* Per-process flags, and pid of comm: */") == {"task_struct": inside}
    assert changed("struct anon_vma {", "-\t * The root of this tree: its rwsem is taken;") == {"anon_vma": inside}
    pointer = changed("struct vm_fault {", "-\tint (*done)(int flags, int address);")
    assert not {"vm_fault.flags", "vm_fault.address"} & set(pointer)
    first, second = "-\tbool (*rmap_one)(struct folio *folio,", "-\t\t\tunsigned long addr, void *arg);"
    assert "rmap_walk_control.arg" not in changed("struct rmap_walk_control {", first, second)
    # Nor is what is no C.
    assert changed("", "-the anon_vma_clone (called by fork) walks.", file="Documentation/mm/x.rst") == {}
    assert changed("", "+\tanon_vma_clone(a, b);") == {"anon_vma_clone": used}
    assert changed("", "-int anon_vma_clone(int a)", "+int anon_vma_clone(int a, int b)") == {"anon_vma_clone": altered}


def test_patches_one_by_one_and_in_csv(kernel: Path, tmp_path: Path) -> None:
    """One of a series is a fair question; what is left out of it is said."""
    first, second = PATCH.replace("[PATCH]", "[PATCH 1/3]"), PATCH.replace("[PATCH]", "[PATCH 3/3]")
    (tmp_path / "first").write_text(first)
    (tmp_path / "second").write_text(second.replace("rmap_walk_anon", "rmap_walk_ksm"))
    (tmp_path / "answer").write_text(PATCH.replace("[PATCH]", "Re: [PATCH]"))
    words = [word for name in ("first", "second", "answer") for word in ("--patch", str(tmp_path / name))]
    answer = lazyobs("doctor", "--against", str(kernel), *words, "-o", "csv")
    rows = {row["name"]: row["how"] for row in csv.DictReader(io.StringIO(answer.stdout)) if row["kind"] == "patch"}
    assert rows["rmap_walk_anon"] == rows["rmap_walk_ksm"] == "changed inside"
    assert answer.stderr == "an answer was left out: Re: [PATCH] mm: rename\n"


def test_a_signature_below_a_patch_changes_nothing() -> None:
    mainline = next(one for one in profile.built_in() if one.name == "mainline")
    text = "--- a/mm/x.c\n+++ b/mm/x.c\n@@ -1,1 +1,1 @@\n-a\n+b\n-- \n-anon_vma_fork(x)\n"
    assert patch_names.changed(series.of_bytes(text.encode(), "x").hunks(), mainline) == []


@pytest.mark.parametrize(
    "line", ["__attribute__((" * 30_000, "(" * 60_000 + ")" * 60_000, "a" * 120_000, "a[" * 120_000]
)
def test_a_long_line_takes_no_hours(line: str) -> None:
    """By the square of its length these took minutes. Its words are read to the end."""
    found = changed("struct anon_vma {", f"+{line} anon_vma_clone")
    assert found["anon_vma_clone"] == patch_names.USED
