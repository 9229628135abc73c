# SPDX-License-Identifier: MIT
"""Pages for node_exporter: whole at every moment, and gone at the end."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from lazyobs.errors import EXIT_REFUSED, EXIT_USAGE, NotPermitted
from lazyobs.exporter.page import PageError
from lazyobs.exporter.textfile import Textfile, keep
from lazyobs.unix.privileges import account
from tests.harness import LAZYOBS, ROOT, lazyobs, need_root


def test_a_page_takes_the_place_of_another(tmp_path: Path) -> None:
    file = Textfile(tmp_path / "a.prom", "")
    file.write(b"one\n")
    before = (tmp_path / "a.prom").stat().st_ino
    with open(tmp_path / "a.prom", "rb") as reader:
        file.write(b"another\n")
        assert reader.read() == b"one\n"
    assert (tmp_path / "a.prom").read_bytes() == b"another\n"
    assert (tmp_path / "a.prom").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "a.prom").stat().st_ino != before
    assert os.listdir(tmp_path) == ["a.prom"]
    file.remove()
    assert os.listdir(tmp_path) == []


def test_a_link_in_its_way_is_not_followed(tmp_path: Path) -> None:
    """The directory may belong to another user than root, who starts it."""
    (tmp_path / "passwd").write_text("kept")
    (tmp_path / "d").mkdir()
    for name in ("a.prom", ".a.prom.new"):
        (tmp_path / "d" / name).symlink_to(tmp_path / "passwd")
    Textfile(tmp_path / "d/a.prom", "").write(b"page\n")
    assert (tmp_path / "passwd").read_text() == "kept"
    assert not (tmp_path / "d/a.prom").is_symlink()


class Pages:
    error = None

    def __init__(self) -> None:
        self.number = 0

    def text(self, openmetrics: bool = False) -> bytes:
        self.number += 1
        if self.number in (2, 3):
            raise PageError("no reading")
        if self.number == 5:
            raise KeyboardInterrupt
        return b"page %d\n" % self.number


def test_a_page_that_is_missing_leaves_the_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = Pages()
    with pytest.raises(KeyboardInterrupt):
        keep(Textfile(tmp_path / "a.prom", ""), pages, 0.001, b"first\n")
    assert (tmp_path / "a.prom").read_bytes() == b"page 4\n"
    assert capsys.readouterr().err == "lazyobs: no new page: no reading\n"


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(NotPermitted, match=r"--textfile .*/none/a.prom: .*/none cannot be opened \(No such file"):
        Textfile(tmp_path / "none/a.prom", "")


def test_the_command_writes_as_the_user_it_becomes(tmp_path: Path) -> None:
    need_root("to become another user")
    who = account()
    place = tmp_path / "textfile"
    place.mkdir()
    os.chown(place, who.uid, who.gid)
    for parent in (tmp_path, *tmp_path.parents):
        if str(parent).startswith("/tmp/pytest"):
            parent.chmod(0o755)
    command = [*LAZYOBS, "export", "--replay", "lab", "--textfile", str(place / "lazyobs.prom")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == f"lazyobs: writing {place}/lazyobs.prom every 15 s\n"
        for _ in range(600):
            if (place / "lazyobs.prom").exists():
                break
            signal.sigtimedwait([], 0.1)
        page = (place / "lazyobs.prom").read_text()
        owner = (place / "lazyobs.prom").stat().st_uid
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert owner == who.uid
    assert "lazyobs_forks_total" in page and page.endswith("\n")
    assert os.listdir(place) == []


def test_a_directory_of_root_is_refused(tmp_path: Path) -> None:
    need_root("to become another user")
    done = lazyobs("export", "--replay", "lab", "--textfile", str(tmp_path / "lazyobs.prom"))
    name = account().name
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        EXIT_REFUSED,
        f"lazyobs: --textfile {tmp_path}/lazyobs.prom: cannot be written (Permission denied); name a file in a directory"
        f" of the user {name} (install -d -o {name} DIR)",
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--textfile", "a.prom", "--listen", ":1"), "--listen has no meaning with --textfile: nothing listens"),
        (("--textfile", "a.prom", "--textfile-seconds", "0"), "textfile_seconds = 0.0; use a number from 1 to 3600"),
    ],
)
def test_what_does_not_go_together(words: tuple[str, ...], why: str) -> None:
    done = lazyobs("export", *words)
    assert (done.returncode, why in done.stderr) == (EXIT_USAGE, True), done.stderr
