# SPDX-License-Identifier: MIT
"""Files that are written where others may put links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lazyobs.unix import output_file
from lazyobs.unix.privileges import NOBODY
from tests.harness import lazyobs, need_root


def test_a_file_is_made_and_made_anew(tmp_path: Path) -> None:
    for text in ("first and longer", "second"):
        with output_file.create(str(tmp_path / "page")) as page:
            page.write(text)
    assert (tmp_path / "page").read_text() == "second"


def test_a_link_of_its_own_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("page")
    with output_file.create(str(tmp_path / "link")) as page:
        page.write("here")
    assert (tmp_path / "page").read_text() == "here" and (tmp_path / "link").is_symlink()
    with output_file.create("/dev/stdout"):
        pass


def test_a_link_of_another_user_is_not(tmp_path: Path) -> None:
    need_root("links of another user")
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "link").symlink_to("victim")
    os.lchown(tmp_path / "link", NOBODY, NOBODY)
    with pytest.raises(OSError, match="it is a link of another user"):
        output_file.create(str(tmp_path / "link"))
    done = lazyobs("report", "examples/lab", "--html", str(tmp_path / "link"))
    assert done.returncode == 3 and "cannot be written (it is a link of another user)" in done.stderr
    assert (tmp_path / "victim").read_text() == "precious"
