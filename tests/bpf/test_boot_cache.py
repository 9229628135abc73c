# SPDX-License-Identifier: MIT
"""What is kept for the boot comes back as it was, or not at all."""

from __future__ import annotations

import os

import pytest

from lazyobs.bpf import boot_cache, plan
from lazyobs.bpf.image import Image, ImageError, MapShape
from lazyobs.bpf.plan import Plan


def test_content_comes_back_as_it_was(tmp_path):
    kept = str(tmp_path / "kept")
    assert not boot_cache.any_kept("image", kept)
    assert boot_cache.keep("k.image", b"content", kept)
    assert boot_cache.load("k.image", kept) == b"content"
    assert boot_cache.load("other.image", kept) is None
    assert boot_cache.any_kept("image", kept) and not boot_cache.any_kept("plan", kept)


@pytest.mark.parametrize("spoil", ["open directory", "open file", "link", "directory is a link"])
def test_what_cannot_be_trusted_is_not_used(tmp_path, spoil):
    kept = tmp_path / "kept"
    assert boot_cache.keep("k.image", b"content", str(kept))
    file = kept / "k.image"
    if spoil == "open directory":
        kept.chmod(0o770)
    elif spoil == "open file":
        file.chmod(0o604)
    elif spoil == "link":
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    else:
        kept.rename(tmp_path / "moved")
        kept.symlink_to(tmp_path / "moved")
    assert boot_cache.load("k.image", str(kept)) is None
    if spoil in ("open directory", "directory is a link"):
        assert not boot_cache.keep("k.image", b"new", str(kept))


def test_only_the_newest_are_kept(tmp_path):
    kept = tmp_path / "kept"
    for number in range(23):
        boot_cache.keep(f"{number}.image", b"", str(kept))
        os.utime(kept / f"{number}.image", (number, number))
    assert len(os.listdir(kept)) == 16
    assert "0.image" not in os.listdir(kept) and "22.image" in os.listdir(kept)


def test_keys_tell_their_parts_apart():
    keys = {boot_cache.key("k", *parts) for parts in (("a", "b"), ("ab",), ("a", "b", ""), ("b", "a"))}
    assert len(keys) == 4


def test_an_image_comes_back_as_it_was():
    image = Image({"m": MapShape(2, 4, 8, 1, 0)}, {"p": bytes(16)}, {"p": [(0, "m")]})
    assert Image.from_bytes(image.to_bytes()) == image


@pytest.mark.parametrize("raw", [b"", b"\0\1", b"[]", b"{}", b'{"maps": {"m": {}}, "programs": {}, "references": {}}'])
def test_what_is_no_image_is_refused(raw):
    with pytest.raises(ImageError):
        Image.from_bytes(raw)


def test_a_plan_comes_back_as_it_was(bpf):
    made = plan.make(plan.gather())
    assert Plan.from_bytes(made.to_bytes()) == made


def test_cached_instructions_name_maps_by_name():
    load_map = bytes.fromhex("1811000000000000" + "0000000000000000")
    image = Image({}, {"p": bytes(8) + load_map}, {"p": [(1, "m")]})
    code = image.program("p", {"m": 77})
    assert code[12:16] == (77).to_bytes(4, "little") and code[:8] == bytes(8)
