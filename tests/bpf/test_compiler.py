# SPDX-License-Identifier: MIT
"""From C to an image: what of it is kept, what is said of C that is wrong, and what is left in /tmp."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lazyobs.bpf import compiler
from lazyobs.bpf.addresses import Addresses
from lazyobs.bpf.image import Image, MapShape
from tests.bpf.bcc_python import bcc_python

_COMPILE = """
import json, os, sys, tempfile
from lazyobs.bpf.compiler import CompilerError, compile_image, import_bcc
source, names = json.loads(sys.argv[1])
tempfile.tempdir = sys.argv[2]
version = import_bcc()
try:
    image = compile_image(source, names)
except CompilerError as error:
    print("CompilerError", os.listdir(sys.argv[2]))
    sys.exit(23)
assert image.compiler == version, (image.compiler, version)
assert os.listdir(sys.argv[2]) == []
sys.stdout.buffer.write(image.to_bytes())
"""
SOURCE = """
%s
BPF_HASH(counts, u32, u64, 23);
BPF_ARRAY(totals, u64, 101);
BPF_PERCPU_ARRAY(unused, u64, 7);

static u64 of(u64 address) { return address == %s ? 1 : address == %s ? 2 : 0; }

int first(u64 *ctx)
{
	u32 key = 5;
	u64 *found = counts.lookup(&key);
	return found && *found ? of(ctx[0]) : 0;
}

int second(u64 *ctx)
{
	int slot = 3;
	u64 *total = totals.lookup(&slot);
	u32 key = 7;
	u64 *found = counts.lookup(&key);
	return total && found;
}
"""


def compiled(source: str, names: list[str], tmp_path: Path) -> tuple[int, str, str]:
    done = bcc_python(_COMPILE, json.dumps([source, names]), str(tmp_path))
    return done.returncode, done.stdout, done.stderr


def test_an_image_has_programs_maps_and_where_they_are_named(bpf: None, tmp_path: Path) -> None:
    from lazyobs.bpf.addresses import C_ADDRESS

    known = Addresses()
    text = SOURCE % (C_ADDRESS, known.c(0xFFFFFFFF81234567), known.c(0xFFFFFFFF89ABCDEF))
    status, stdout, stderr = compiled(text, ["counts", "totals", "unused"], tmp_path)
    assert (status, stderr) == (0, "")
    image = Image.from_bytes(stdout.encode())
    assert image.maps == {
        "counts": MapShape(1, 4, 8, 23, 0),
        "totals": MapShape(2, 4, 8, 101, 0),
        "unused": MapShape(6, 4, 8, 7, 0),
    }
    assert sorted(image.programs) == ["first", "second"]
    assert [name for _, name in image.references["first"]] == ["counts"]
    assert sorted(name for _, name in image.references["second"]) == ["counts", "totals"]
    assert sorted(number for _, number in image.addresses["first"]) == [0, 1]
    assert image.addresses["second"] == []
    assert image.used_maps(["first"]) == ["counts"]
    assert image.used_maps(["first", "second"]) == ["counts", "totals"]
    # What is filled in is all that a start changes.
    code = image.program("first", {"counts": 77}, known.values)
    (at,) = [index for index, _ in image.references["first"]]
    assert code[8 * at + 4 : 8 * at + 8] == (77).to_bytes(4, "little")
    for index, number in image.addresses["first"]:
        low, high = code[8 * index + 4 : 8 * index + 8], code[8 * index + 12 : 8 * index + 16]
        assert int.from_bytes(low + high, "little") == known.values[number]
    assert code[-8:] == bytes.fromhex("9500000000000000")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("int broken( {", "error: "),
        ("int program(void *ctx) { return unheard_of; }", "use of undeclared identifier 'unheard_of'"),
        ("#include <linux/sched.h>\n", "linux/sched.h"),
    ],
)
def test_c_that_is_wrong_is_told_by_clang(bpf: None, tmp_path: Path, source: str, words: str) -> None:
    status, stdout, stderr = compiled(source, [], tmp_path)
    assert (status, stdout) == (23, "CompilerError []\n")
    assert words in stderr


def test_an_interpreter_without_bcc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bcc", None)  # as if it was not installed
    with pytest.raises(compiler.CompilerMissing, match="bcc"):
        compiler.import_bcc()


def test_the_unrelated_package_of_that_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "bcc", raising=False)
    (tmp_path / "bcc.py").write_text("__version__ = '1.0'\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(compiler.CompilerMissing, match=rf"^{tmp_path}/bcc.py is an unrelated package of that name$"):
        compiler.import_bcc()
    monkeypatch.delitem(sys.modules, "bcc")


def test_bcc_is_the_one_that_is_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "bcc", raising=False)
    (tmp_path / "bcc.py").write_text("__version__ = '0.29.1'\nclass BPF:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert compiler.import_bcc() == "0.29.1"
    monkeypatch.delitem(sys.modules, "bcc")
