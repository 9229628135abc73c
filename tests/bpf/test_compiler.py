# SPDX-License-Identifier: MIT
"""From C to an image: what of it is kept, what is said of C that is wrong, and what is left in /tmp."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lazyobs.bpf import blanks, compiler, sources
from lazyobs.bpf.compiler_errors import CompilerMissing
from lazyobs.bpf.image import Image, MapShape, hash_of
from tests.bpf.bcc_python import bcc_python

_COMPILE = """
import json, os, sys, tempfile
from lazyobs.bpf.blanks import Names
from lazyobs.bpf.compiler import compile_image, import_bcc
from lazyobs.bpf.compiler_errors import CompilerError
source, names = json.loads(sys.argv[1])
tempfile.tempdir = sys.argv[2]
version = import_bcc()
try:
    image = compile_image(source, names, Names(("low", "high"), (), ()))
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
    known = {"low": 0xFFFFFFFF81234567, "high": 0xFFFFFFFF89ABCDEF}
    text = SOURCE % (blanks.C_MARKS + sources.read("blanks.h"), "CONSTANT(0)", "CONSTANT(1)")
    status, stdout, stderr = compiled(text, ["counts", "totals", "unused"], tmp_path)
    assert (status, stderr) == (0, "")
    image = Image.from_bytes(stdout.encode())
    assert image.maps == {
        "counts": MapShape(1, 4, 8, 23, 0),
        "totals": MapShape(2, 4, 8, 101, 0),
        "unused": MapShape(6, 4, 8, 7, 0),
    }
    assert sorted(image.programs) == ["first", "second"]
    assert image.source == hash_of(text)
    first, second = image.programs["first"], image.programs["second"]
    assert sorted((kind, name) for _, kind, name in first.blanks) == [
        ("constant", "high"),
        ("constant", "low"),
        ("map", "counts"),
    ]
    assert sorted((kind, name) for _, kind, name in second.blanks) == [("map", "counts"), ("map", "totals")]
    assert image.used_maps(["first"]) == ["counts"]
    assert image.used_maps(["first", "second"]) == ["counts", "totals"]
    # What is filled in is all that a start changes.
    code = image.program("first", {"counts": 77}, known, {})
    assert len(code) == len(first.code)
    for at, kind, name in first.blanks:
        low, high = code[8 * at + 4 : 8 * at + 8], code[8 * at + 12 : 8 * at + 16]
        assert int.from_bytes(low + high, "little") == (77 if kind == "map" else known[name])
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
    with pytest.raises(CompilerMissing, match="bcc"):
        compiler.import_bcc()


def test_the_unrelated_package_of_that_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "bcc", raising=False)
    (tmp_path / "bcc.py").write_text("__version__ = '1.0'\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CompilerMissing, match=rf"^{tmp_path}/bcc.py is an unrelated package of that name$"):
        compiler.import_bcc()
    monkeypatch.delitem(sys.modules, "bcc")


def test_bcc_is_the_one_that_is_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "bcc", raising=False)
    (tmp_path / "bcc.py").write_text("__version__ = '0.29.1'\nclass BPF:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert compiler.import_bcc() == "0.29.1"
    monkeypatch.delitem(sys.modules, "bcc")
