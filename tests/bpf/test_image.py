# SPDX-License-Identifier: MIT
"""Image files are untrusted: what is not exactly one is refused with one line, whatever it was made of."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from lazyobs.bpf import images
from lazyobs.bpf.blanks import Blank
from lazyobs.bpf.image import Image, ImageError, MapShape, Program, hash_of, source_of
from tests.bpf.test_blanks import CONSTANT_1, EXIT, MAP, TABLE

CODE = MAP + CONSTANT_1 + TABLE + EXIT
PLACES = (Blank(0, "map", "m"), Blank(2, "constant", "one"), Blank(4, "switch", "table"))
MADE = Image({"m": MapShape(2, 4, 8, 1, 0)}, {"p": Program(CODE, PLACES)}, hash_of("int p;"), "0.26.0+ds")


def signed(document: Any) -> bytes:
    """A file with that content, and the checksum that goes with it."""
    rest = json.dumps(document).encode()
    return f"lazyobs image 1 {MADE.source} {zlib.crc32(MADE.source.encode() + rest):08x}\n".encode() + rest


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(MADE.to_bytes().partition(b"\n")[2])
    return found


def test_an_image_comes_back_as_it_was() -> None:
    raw = MADE.to_bytes()
    assert Image.from_bytes(raw) == MADE and Image.from_bytes(raw).to_bytes() == raw
    assert source_of(raw) == MADE.source
    assert Image.from_bytes(signed(document())) == MADE


@pytest.mark.parametrize("raw", [b"", b"\0\1", b"[]", b"lazyobs image 1", b"lazyobs image 2 a b\n{}", b"\n" * 1000])
def test_what_is_no_image_is_refused(raw: bytes) -> None:
    with pytest.raises(ImageError, match=r"^no image of this version$"):
        Image.from_bytes(raw)


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_file_is_refused_in_one_line(seed: int) -> None:
    """Of a real image: a byte changed, taken out, doubled; a part cut off."""
    raw = images.read(images.files()[0])
    random_ = random.Random(seed)
    for _ in range(500):
        at = random_.randrange(len(raw)) if random_.random() < 0.7 else random_.randrange(200)
        changed = random_.choice(
            (
                raw[:at] + bytes([raw[at] ^ 1 << random_.randrange(8)]) + raw[at + 1 :],
                raw[:at] + raw[at + 1 :],
                raw[:at] + raw[at : at + 1] + raw[at:],
                raw[:at],
            )
        )
        if changed != raw:
            with pytest.raises(ImageError) as refused:
                Image.from_bytes(changed)
            assert "\n" not in str(refused.value) and len(str(refused.value)) < 200


def replaced(value: Any, at: list[Any], by: Any) -> Any:
    if not at:
        return by
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[at[0]] = replaced(value[at[0]], at[1:], by)
    return changed


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, one in inner for place in places(one, (*at, key)))]


WRONG: tuple[Any, ...] = (None, True, -1, 1 << 40, 1.5, "", "../x", "x" * 1000, "\n", [], {}, [[]], {"": 0}, "é")


def test_a_hostile_file_with_the_right_checksum_is_refused_in_one_line() -> None:
    refused = 0
    for place in places(document()):
        for value in WRONG:
            raw = signed(replaced(document(), list(place), value))
            try:
                found = Image.from_bytes(raw)
            except ImageError as error:
                assert "\n" not in str(error) and len(str(error)) < 200
                refused += 1
            else:  # an image without maps or programs, or of no version: nothing that could be loaded differs
                assert place in (("programs",), ("compiler",)) or found.programs == MADE.programs or value == []
    assert refused > 300


def with_blanks(*found: list[Any]) -> Callable[[dict[str, Any]], None]:
    return lambda one: one["programs"]["p"].__setitem__("blanks", list(found))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (with_blanks([1, "constant", "x"]), "no constant at 1"),
        (with_blanks([0, "constant", "x"]), "no constant at 0"),
        (with_blanks([2, "constant", "x"], [2, "constant", "x"]), "a blank at 2 of 8 instructions"),
        (with_blanks([2, "constant", "x"], [0, "map", "m"]), "a blank at 0 of 8 instructions"),
        (with_blanks([8, "constant", "x"]), "a blank at 8 of 8 instructions"),
        (with_blanks([0, "map", "other"]), "no map other"),
        (with_blanks([0, "jump", "m"]), "a blank that is none"),
        (lambda one: one["maps"].__setitem__("m", [2, 4, 8, 1 << 30, 0]), "a map larger than those of the probes"),
        (lambda one: one["programs"]["p"].__setitem__("code", "AAAA"), "has 3 bytes"),
        (lambda one: one["programs"]["p"].__setitem__("code", "A A="), "no base64"),
        (lambda one: one.__setitem__("more", 1), "has other fields"),
    ],
)
def test_what_is_wrong_is_said(change: Callable[[dict[str, Any]], None], why: str) -> None:
    one = document()
    change(one)
    with pytest.raises(ImageError, match=why):
        Image.from_bytes(signed(one))
