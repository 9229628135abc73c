# SPDX-License-Identifier: MIT
"""Series as they come: in which order they are put, and what is not taken."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import pytest

from lazyobs.errors import UsageError
from lazyobs.judge import series
from lazyobs.judge.diff import BadPatch, changes
from tests.harness import ROOT
from tests.judge.mails import RMAP, changed, diff, mail
from tests.judge.mails import series as of

PATCH = diff("mm/rmap.c", RMAP, changed(23))
OURS = ROOT / "lab" / "patches"


def read(text: str | bytes) -> series.Series:
    return series.of_bytes(text.encode() if isinstance(text, str) else text, "the mbox")


def refused(text: str | bytes) -> str:
    with pytest.raises(UsageError) as raised:
        read(text)
    return str(raised.value)


def test_our_own_series_is_read() -> None:
    files = sorted(OURS.glob("v2-000*.patch"))
    found = series.read(files, OURS / "cover-letter.txt")
    assert [(patch.number, patch.total, patch.version) for patch in found.patches] == [(1, 2, 2), (2, 2, 2)]
    assert found.subject.startswith("[RFC PATCH v2 0/2] mm/rmap: no anon_vma of its own")
    assert "struct anon_vma grows from 88 to 104 bytes" in found.cover
    assert found.files()["mm/rmap.c"] == (200, 1) and sum(added for added, _ in found.files().values()) == 314
    assert found.patches[0].message.startswith("Every VMA that holds anonymous pages")


def test_an_mbox_in_any_order_is_put_in_order() -> None:
    mails = of(7)
    for order in (mails, mails[::-1], [*mails[3:], *mails[:3]]):
        found = read("".join(order))
        assert [patch.number for patch in found.patches] == [1, 2, 3, 4, 5, 6, 7]
        assert found.subject == "[PATCH v2 0/7] a series" and "grows from 88 to 104" in found.cover
        assert found.patches[2].message_id == "3-series@example.org"


def test_two_hundred_patches() -> None:
    found = read("".join(of(200)))
    assert len(found.patches) == 200 and found.files() == {"mm/rmap.c": (200, 0)}


def test_a_folder_of_patches(tmp_path: Path) -> None:
    for number, text in enumerate(of(3)):
        (tmp_path / f"{number:04}-x.patch").write_text(text)
    (tmp_path / "notes.md").write_text("no patch")
    assert [patch.number for patch in series.read([tmp_path]).patches] == [1, 2, 3]
    (tmp_path / "0004.patch").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match=r"0004\.patch: is a symbolic link; put the patch itself"):
        series.read([tmp_path])


@pytest.mark.parametrize(
    "left_out, twice, said",
    [(2, 0, "lacks patch 2 of 3"), (0, 2, "has patch 2 of 3 twice")],
)
def test_one_that_is_missing_or_there_twice(left_out: int, twice: int, said: str) -> None:
    mails = list(of(3))
    if left_out:
        del mails[left_out]
    if twice:
        mails.append(mails[twice])
    assert said in refused("".join(mails))


def test_a_thread_with_answers_and_an_older_version() -> None:
    older = mail("[PATCH 1/1] the first try", diff("mm/rmap.c", RMAP, changed(11)))
    answer = mail("Re: [PATCH v2 1/2] patch 1", "> " + PATCH.replace("\n", "\n> "))
    found = read(older + answer + "".join(of(2)))
    assert [patch.name for patch in found.patches] == ["1/2 patch 1", "2/2 patch 2"]
    assert found.notes == ["of 3 patches the 2 of version 2 were taken"]


def test_windows_line_ends_are_taken_off_where_each_line_has_one() -> None:
    text = mail("[PATCH] x", PATCH)
    found = read(text.replace("\n", "\r\n"))
    assert found.patches[0].changes == read(text).patches[0].changes
    assert found.notes == ["every line of it ended as on Windows: the carriage returns were taken off"]
    # In a file that has them they stay.
    own = read(mail("[PATCH] x", diff("a/b.txt", "one\r\ntwo\r\n", "one\r\nthree\r\n")))
    assert own.patches[0].changes[0].hunks[0].new == (b"one\r\n", b"three\r\n") and not own.notes


def test_encoded_mails_are_decoded() -> None:
    head = "From: A Person <a@example.org>\nSubject: [PATCH] x\nContent-Type: text/plain; charset=utf-8\n"
    body = base64.encodebytes(f"Because.\n---\n{PATCH}".encode()).decode()
    found = read(f"{head}Content-Transfer-Encoding: base64\n\n{body}")
    assert found.patches[0].changes == read(PATCH).patches[0].changes
    quoted = f"Because=2E\n---\n{PATCH}".replace("=", "=3D").replace("=3D2E", ".")
    assert read(f"{head}Content-Transfer-Encoding: quoted-printable\n\n{quoted}").patches[0].changes


def test_a_base_commit_is_seen() -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    assert read(mail("[PATCH] x", PATCH) + f"base-commit: {commit}\n").base_commit == commit


@pytest.mark.parametrize(
    "patch, said",
    [
        (PATCH.replace("mm/rmap.c", "../../etc/passwd"), "names a file outside of the tree: ../../etc/passwd"),
        (PATCH.replace("mm/rmap.c", "mm/../../x"), "names a file outside of the tree"),
        (PATCH.replace("mm/rmap.c", "/etc/passwd"), "names a file outside of the tree: /etc/passwd"),
        (PATCH.replace("b/mm/rmap.c", "/etc/passwd"), "names no file, or two"),
        (PATCH.split("\n", 1)[1].replace("--- a/mm/rmap.c", "--- /etc/passwd"), "outside of the tree: /etc/passwd"),
        (PATCH.split("\n", 1)[1].replace("+++ b/mm/rmap.c", "+++ b/mm/ksm.c"), "different files"),
        (PATCH.replace("mm/rmap.c", ".git/hooks/post-checkout"), "changes git's own files"),
        (PATCH.replace("mm/rmap.c", "mm//rmap.c"), "in an odd way"),
        (PATCH.replace("mm/rmap.c", "mm/\x1b[31m.c"), "letters that no kernel uses"),
        ("diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n", "a symbolic link"),
        ("diff --git a/s b/s\nnew file mode 160000\nindex 0000000..0123456\n", "a submodule"),
        ("diff --git a/l b/l\nindex 0123456..0123457 120000\n--- a/l\n+++ b/l\n@@ -1 +1 @@\n-a\n+b\n", "a symbolic link"),
        ("diff --git a/s b/s\nold mode 100644\nnew mode 104755\n", "a file of mode 104755"),
        ("diff --git a/x.bin b/x.bin\nGIT binary patch\nliteral 3\n", "binary data"),
        ("diff --git a/x.bin b/x.bin\nindex 1..2\nBinary files a/x.bin and b/x.bin differ\n", "binary data"),
        (PATCH[: PATCH.rindex("\n", 0, -20)] + "\n", "is cut off in hunk 1 of mm/rmap.c"),
        (PATCH.replace("+changed 23", "changed 23"), "hunk 1 of mm/rmap.c is damaged"),
    ],
)  # fmt: skip
def test_what_is_not_taken(patch: str, said: str) -> None:
    with pytest.raises(BadPatch):
        changes(patch.encode())
    assert said in refused(f"From: A <a@example.org>\nSubject: [PATCH 1/1] bad\n\nx\n---\n{patch}")


def test_a_signature_after_the_last_hunk_is_no_line_of_it() -> None:
    (change,) = read(mail("[PATCH] x", PATCH)).patches[0].changes
    assert (change.added, change.removed, len(change.hunks)) == (1, 1, 1)


@pytest.mark.parametrize("text", ["", "hello\n", mail("[PATCH 0/1] only a cover letter")])
def test_no_patch_at_all(text: str) -> None:
    assert "has no patch in it" in refused(text)


def test_what_is_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none", Path("/dev/zero"), Path("nul\0l")):
        with pytest.raises(UsageError):
            series.read([path])


TWO = diff("mm/rmap.c", RMAP, changed(5).replace("line 45\n", "other 45\n"))
SECOND = TWO[TWO.index("@@", TWO.index("line 8\n")) :].split("\n", 1)[0]  # the head of its second hunk


@pytest.mark.parametrize(
    "patch, said",
    [
        (TWO.replace(SECOND, SECOND.replace(" @@", "@@")), "the head of a hunk is damaged"),
        (TWO.replace(SECOND, SECOND.replace("@@ -", "@@ ")), "the head of a hunk is damaged"),
        (TWO.replace(SECOND, f" {SECOND}"), "the head of a hunk is damaged"),
        (TWO.replace(SECOND, f"\r{SECOND}"), "the head of a hunk is damaged"),
        (TWO.replace(SECOND, "@@ -1234567890,7 +45,7 @@"), "the head of a hunk is damaged"),
        (TWO + "-line 58\n+evil\n", "hunk 2 of mm/rmap.c has more lines than it says"),
        ("diff --git a/mm/rmap.c b/mm/rmap.c\nindex 1..2 100644\n", "nothing of mm/rmap.c is changed"),
        ("--- a/mm/rmap.c\n+++ b/mm/rmap.c\n@@ -0,0 +0,0 @@\n", "hunk 1 of mm/rmap.c has no lines"),
        (TWO + "Binary files a/x and b/x differ\n", "binary data"),
        ("diff -r a/x b/x\nBinary files a/x and b/x differ\n" + TWO, "binary data"),
        (TWO.replace(SECOND, "@@"), "the head of a hunk is damaged"),
        (TWO.replace(SECOND, SECOND.replace("@@ -", "@@ - ")), "the head of a hunk is damaged"),
        (TWO.replace(SECOND, SECOND.replace("@@ -4", "@@ -l")), "the head of a hunk is damaged"),
        (TWO + " line 58\n-line 59\n", "has more changed lines than its hunks say"),
        (TWO + "\n-line 59\n", "has more changed lines than its hunks say"),
        (TWO + "--- removed\n", "has more changed lines than its hunks say"),
        ("diff --git a/mm/x.c b/mm/x.c\nold mode 100644\nnew mode 100755\n-x\n", "has more changed lines"),
        ("diff --git a/mm/x.c b/mm/y.c\nsimilarity index 60%\nrename from mm/x.c\nrename to mm/y.c\n", "without its lines"),
        ("diff --git a/mm/x.c b/mm/x.c\ndeleted file mode 100644\nindex 1234567..0000000\n", "changes or removes mm/x.c without its lines"),
        ("diff --git a/mm/x.c b/mm/x.c\nold mode 100644\nnew mode 100755\nrename old mm/x.c\nrename new mm/y.c\n", "does not go together"),
        ("diff --git a/mm/x.c b/mm/y.c\ncopy from mm/z.c\nrename from mm/x.c\ncopy to mm/z.c\nrename to mm/y.c\n", "does not go together"),
        ("diff --git a/mm/x.c b/mm/x.c\nrename from mm/y.c\n", "does not go together"),
        ("diff --git a/mm/x.c b/mm/x.c\nold mode 100755\n", "does not go together"),
        ('diff --git "a/mm/x\\303.c" "b/mm/x\\303.c"\nold mode 100644\nnew mode 100755\n', "names no file, or two"),
    ],
)  # fmt: skip
def test_no_part_of_a_patch_is_passed_over(patch: str, said: str) -> None:
    """A hunk that is not seen would be a patch that is not judged."""
    assert "@@" in SECOND and len(series.of_bytes(TWO.encode(), "x").patches[0].changes[0].hunks) == 2
    with pytest.raises(UsageError, match=said):
        series.of_bytes(patch.encode(), "x")


@pytest.mark.parametrize(
    "header",
    [
        "Subject: " + "=?utf-8?q?a?= " * 80_000,
        "Content-Type: text/plain; a*",
        "Content-Type: text/plain" + "(" * 5000,
        "Content-Transfer-Encoding: " + "x" * 9000,
    ],
)
def test_a_mail_that_cannot_be_parsed(header: str) -> None:
    begun = time.process_time()
    with pytest.raises(UsageError, match="is a mail that cannot be parsed"):
        series.of_bytes(f"From: a@example.org\n{header}\n\n{TWO}".encode(), "x")
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("header", ["From: " + "(" * 5000, "Subject: " + "[" * 8000, "\ufeffSubject: x"])
def test_a_mail_with_an_odd_header_is_read(header: str) -> None:
    begun = time.process_time()
    (patch,) = series.of_bytes(f"{header}\nX: y\n\n{TWO}".encode(), "x").patches
    assert len(patch.name) < 300 and patch.changes[0].added == 2
    assert time.process_time() - begun < 5


def test_many_beginnings_of_mails() -> None:
    begun = time.process_time()
    with pytest.raises(UsageError, match="has no patch in it"):
        series.of_bytes(b"From x Mon Sep 17 00:00:00 2001\n\n" * 50_000, "x")
    assert time.process_time() - begun < 20


def test_an_answer_with_a_patch_in_it_is_named() -> None:
    found = series.of_bytes((mail("[PATCH] x", TWO) + mail("Re: [PATCH] y", TWO, number=2)).encode(), "x")
    assert found.notes == ["an answer was left out: Re: [PATCH] y"]


LOG = """commit 0123456
Author: A <a@example.org>

    a message with a hunk in it:
    @@ -1,3 +1,3 @@
    -a
    +b

"""


@pytest.mark.parametrize("behind", ["-- \n2.47.3\n\n- a list\n@@ 5 people\n", "--\n2.47.3\n", "\n" + LOG + PATCH])
def test_what_stands_behind_a_patch(behind: str) -> None:
    found = series.of_bytes((LOG + TWO + behind).encode(), "x")
    assert [len(change.hunks) for change in found.patches[0].changes] in ([2], [2, 1])


def test_a_paragraph_is_no_mail(tmp_path: Path) -> None:
    """ "From what was said in 2024" at the beginning of one."""
    mails = "".join(mail(f"[PATCH {number}/2] x", TWO, text="A.\n\nFrom what was said at LSFMM in 2024\n\nB.", number=number) for number in (1, 2))  # fmt: skip
    assert len(series.of_bytes(mails.encode(), "x").patches) == 2
    with pytest.raises(UsageError, match="lacks patch 1 of 2"):
        series.of_bytes(mails[mails.index("From 84db", 9) :].encode(), "x")


def test_what_is_left_out_of_a_series_is_named(tmp_path: Path) -> None:
    (tmp_path / "one.patch").write_text(mail("[PATCH] x", TWO))
    (tmp_path / "0002-x.patch.gz").write_bytes(b"x")
    (tmp_path / "three.patch").write_text(mail("[PATCH] z").replace("Because.", "*** mm/rmap.c\n--- mm/rmap.c"))
    (tmp_path / "four.patch").write_bytes(TWO.encode("utf-16"))
    assert sorted(series.read([tmp_path]).notes) == [
        "0002-x.patch.gz was not read: its name does not end as a patch's does",
        "a mail without a patch that can be read was left out: four.patch",
        "a mail without a patch that can be read was left out: z",
    ]


def test_many_headers_or_large_folders_are_refused_early(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a mail that cannot be parsed"):
        series.of_bytes(b"A: b\n" * 100_000 + b"\n" + TWO.encode(), "x")
    for number in range(4):
        with open(tmp_path / f"{number}.patch", "wb") as file:
            file.truncate(30 << 20)
    with pytest.raises(UsageError, match=r"2\.patch: is more than 64 MiB with those before it"):
        series.read([tmp_path])


BASE_COMMIT = "0123456789abcdef0123456789abcdef01234567"
B4 = f"---\nbase-commit: {BASE_COMMIT}\nchange-id: 20261126-x\n\nBest regards,\n-- \nA <a@example.org>\n"


@pytest.mark.parametrize("before", ["", "\n", "\n\n"])
def test_a_single_patch_of_b4(before: str) -> None:
    """b4 prep puts the trailers of the series behind its one patch, after a line of three dashes."""
    found = read(mail("[PATCH] x", TWO + before + B4))
    assert [len(change.hunks) for change in found.patches[0].changes] == [2]
    assert found.base_commit == BASE_COMMIT


def test_a_diff_in_a_cover_letter_is_no_patch() -> None:
    """format-patch --interdiff puts one there that is no part of the series."""
    cover = mail("[PATCH v2 0/2] c", text=f"It is better.\n\nInterdiff against v1:\n{PATCH}\n{B4}")
    patches = [mail(f"[PATCH v2 {number}/2] x", TWO, number=number) for number in (2, 1)]
    found = read("".join([cover, *patches]))
    assert [patch.number for patch in found.patches] == [1, 2]
    assert found.notes == ["a diff in the cover letter was left out: 0/2 c"]
    assert (found.subject, found.base_commit) == ("[PATCH v2 0/2] c", BASE_COMMIT)
    assert found.cover == "It is better.\n\nInterdiff against v1:"


def test_base64_is_read_to_its_end() -> None:
    """Of a mail that was put together piece by piece; git mailinfo decodes each line for itself."""
    other = diff("mm/ksm.c", "a\n", "b\n")
    pieces = [f"x\n---\n{PATCH}", "\n", other]
    assert any(len(piece) % 3 for piece in pieces[:-1])
    text = "".join(base64.encodebytes(piece.encode()).decode() for piece in pieces)
    head = "From: A <a@example.org>\nSubject: [PATCH] x\nContent-Transfer-Encoding: base64\n\n"
    assert list(read(head + text).files()) == ["mm/ksm.c", "mm/rmap.c"]


@pytest.mark.parametrize("before", ["\n", "\r\n\n", "\ufeff"])
def test_an_mbox_that_begins_with_what_is_no_mail(before: str) -> None:
    mails = "".join(mail(f"[PATCH {number}/2] x", TWO, number=number) for number in (1, 2))
    assert len(read(before + mails).patches) == 2


def test_windows_line_ends_of_the_headers_alone() -> None:
    long = "".join(f"line {number}\n" for number in range(3000))
    head, _, body = mail("[PATCH] x", diff("mm/rmap.c", None, long)).partition("\n\n")
    body = body.replace("\n\n", "\n")  # no other empty line is taken for the end of the headers
    found = read(head.replace("\n", "\r\n") + "\r\n\r\n" + body)
    assert found.files() == {"mm/rmap.c": (3000, 0)}


def test_other_letters_for_a_and_b() -> None:
    """diff.mnemonicPrefix of git."""
    found = read(PATCH.replace("a/mm", "i/mm").replace("b/mm", "w/mm"))
    assert list(found.files()) == ["mm/rmap.c"]


def test_the_time_to_read_a_line_is_not_the_square_of_its_length() -> None:
    """Asserted as an answer: by the square these took hours."""
    assert "has no patch in it" in refused("From x " + "00:00:00 " * 200_000 + "\n")
