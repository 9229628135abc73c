# SPDX-License-Identifier: MIT
"""The images that come along: they are of these sources, and one that somebody else could have written is not used."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lazyobs.bpf import blanks, images, template
from lazyobs.bpf.image import Image, hash_of, source_of
from lazyobs.bpf.images import NoImage
from lazyobs.bpf.make_images import FILES
from tests.bpf.bcc_python import bcc_python
from tests.harness import need_root, skip

MAKE_AGAIN = "run make images, and commit what it makes"


@pytest.mark.parametrize(("name", "events"), FILES.items())
def test_the_images_are_of_these_sources(name: str, events: bool) -> None:
    assert source_of(images.read(f"{images.FOLDER}/{name}")) == hash_of(template.text(events)), MAKE_AGAIN
    image, found = images.find(hash_of(template.text(events)))
    assert found == name and set(image.maps) == set(template.maps(events))


def test_there_is_none_that_nothing_needs() -> None:
    assert [Path(path).name for path in images.files()] == sorted(FILES)


def test_the_same_sources_make_the_same_bytes(bpf: None, tmp_path: Path) -> None:
    """Where the BCC that made them is at hand."""
    made = Image.from_bytes(images.read(f"{images.FOLDER}/plain.img"))
    done = bcc_python(
        "from pathlib import Path; from lazyobs.bpf.make_images import main; import bcc\n"
        "print(bcc.__version__); main(Path(sys.argv[1]))",
        str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    if done.stdout.splitlines()[0] != made.compiler:
        skip("programs", f"the images are BCC {made.compiler}'s, and here is {done.stdout.splitlines()[0]}")
    for name in FILES:
        assert (tmp_path / name).read_bytes() == Path(images.FOLDER, name).read_bytes(), MAKE_AGAIN


def test_every_blank_has_a_value_here(bpf: None) -> None:
    from lazyobs.bpf import plan

    made = plan.make(plan.gather())
    known = {*made.values, *made.switches, *("argument.0", "argument.1", "result")}
    for events in FILES.values():
        image, _ = images.find(hash_of(template.text(events)))
        for program in image.programs.values():
            assert {blank.name for blank in program.blanks if blank.kind not in blanks.OF_MAPS} <= known


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        shutil.copy(f"{images.FOLDER}/{name}", tmp_path / name)
    return tmp_path


def why_not(folder: Path, source: str = "") -> str:
    with pytest.raises(NoImage) as refused:
        images.find(hash_of(source or template.text(True)), str(folder))
    return str(refused.value)


def test_probes_that_were_changed_have_none(folder: Path) -> None:
    assert "the probes were changed since the images were made" in why_not(folder, template.text(True) + "\n")


def test_an_installation_without_images(tmp_path: Path) -> None:
    assert why_not(tmp_path / "none") == f"{tmp_path / 'none'} has no images"


def test_a_file_that_others_can_write_is_refused(folder: Path) -> None:
    (folder / "events.img").chmod(0o646)
    assert why_not(folder) == f"{folder / 'events.img'}: other users can write it (mode 646)"


def test_a_file_of_another_user_is_refused(folder: Path) -> None:
    need_root("gives a file to another user")
    os.chown(folder / "events.img", 65534, 65534)
    assert why_not(folder).endswith("it belongs to user 65534, and neither to root nor to the owner of the code")


def test_a_damaged_file_is_refused(folder: Path) -> None:
    raw = (folder / "events.img").read_bytes()
    (folder / "events.img").write_bytes(raw[:-23])
    assert why_not(folder) == f"{folder / 'events.img'}: damaged: its content is not what was written"


def test_a_fifo_is_not_waited_for(folder: Path) -> None:
    (folder / "events.img").unlink()
    os.mkfifo(folder / "events.img")
    assert why_not(folder) == f"{folder / 'events.img'}: no regular file"
