# SPDX-License-Identifier: MIT
"""What is kept comes back as it was, or not at all."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys

import pytest

from lazyobs.bpf import cache, plan
from lazyobs.bpf.cache import Cache
from lazyobs.bpf.plan import Plan
from lazyobs.bpf.session import COMPILE
from tests.harness import ROOT, need_root


def test_content_comes_back_as_it_was(tmp_path):
    kept = Cache((str(tmp_path / "kept"),))
    assert kept.load("k.image") is None
    assert kept.keep("k.image", b"content")
    assert kept.load("k.image") == b"content"
    assert kept.load("other.image") is None
    assert kept.ignored == []


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ("open directory", "the directory is open to other users (mode 770)"),
        ("open file", "the file is open to other users (mode 604)"),
        ("foreign directory", "the directory belongs to user 54321"),
        ("foreign file", "the file belongs to user 54321"),
        ("link", "Too many levels of symbolic links"),
        ("directory is a link", "Not a directory"),
        ("no file", "no regular file"),
        ("changed", "its content is not what was written"),
        ("cut short", "its content is not what was written"),
        ("empty", "its content is not what was written"),
    ],
)
def test_what_cannot_be_trusted_is_not_used_and_told(tmp_path, spoil, why):
    kept = tmp_path / "kept"
    assert Cache((str(kept),)).keep("k.image", b"content")
    file = kept / "k.image"
    raw = file.read_bytes()
    if spoil == "open directory":
        kept.chmod(0o770)
    elif spoil == "open file":
        file.chmod(0o604)
    elif spoil.startswith("foreign"):
        need_root("to give files away")
        os.chown(kept if spoil == "foreign directory" else file, 54321, 54321)
    elif spoil == "link":
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    elif spoil == "directory is a link":
        kept.rename(tmp_path / "moved")
        kept.symlink_to(tmp_path / "moved")
    elif spoil == "no file":
        file.unlink()
        file.mkdir(0o700)
    elif spoil == "changed":
        file.write_bytes(raw[:-1] + b"T")
    else:
        file.write_bytes(raw[:-1] if spoil == "cut short" else b"")
    cache = Cache((str(kept),))
    assert cache.load("k.image") is None
    assert [reason.partition(": ")[2] for reason in cache.ignored] == [why]
    if "directory" in spoil:
        assert not cache.keep("k.image", b"new")


def test_a_directory_that_cannot_be_written_is_passed_over(tmp_path):
    beside = str(tmp_path / "beside")
    cache = Cache((str(tmp_path / "not" / "there"), beside))
    assert cache.keep("k.image", b"content") and os.listdir(beside) == ["k.image"]
    assert cache.load("k.image") == b"content" and cache.ignored == []


def test_a_writer_killed_half_way_leaves_what_was_there(tmp_path):
    """The kernel ends it (RLIMIT_FSIZE, SIGXFSZ) in the middle of writing the file."""
    place = str(tmp_path / "kept")
    Cache((place,)).keep("k.image", b"old")
    code = (
        "import resource, sys\n"
        "from lazyobs.bpf.cache import Cache\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n"
        "Cache((sys.argv[1],)).keep('k.image', b'new' * 100_003)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, place], cwd=ROOT)
    assert done.returncode == -signal.SIGXFSZ
    assert len(os.listdir(place)) == 2  # what it wrote bears another name
    cache = Cache((place,))
    assert cache.load("k.image") == b"old" and cache.ignored == []


def test_a_full_disk_keeps_nothing(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (101, before[1]))
    try:
        assert not Cache((str(tmp_path / "kept"),)).keep("k.image", bytes(307))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "kept").iterdir()) == []


def test_only_those_used_last_are_kept(tmp_path):
    cache = Cache((str(tmp_path),))
    tmp_path.chmod(0o700)
    for number in range(48):
        cache.keep(f"{number}.image", b"")
        os.utime(tmp_path / f"{number}.image", (number, number))
    assert cache.load("0.image") == b""  # and is thereby used last
    cache.keep("48.image", b"")
    assert sorted(os.listdir(tmp_path)) == sorted(f"{number}.image" for number in range(49) if number != 1)


def test_keys_tell_their_parts_apart():
    keys = {cache.key("k", *parts) for parts in (("a", "b"), ("ab",), ("a", "b", ""), ("b", "a"))}
    assert len(keys) == 4


def test_an_entry_that_never_ends_is_not_read(tmp_path):
    """8 GB of nothing that only root can have put there: a second, not the memory of the machine."""
    kept = Cache((str(tmp_path / "kept"),))
    assert kept.keep("k.image", b"content")
    os.truncate(tmp_path / "kept" / "k.image", 8 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert kept.load("k.image") is None
    assert [why.partition(": ")[2] for why in kept.ignored] == ["larger than 16 MiB"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_a_plan_comes_back_as_it_was(bpf):
    made = plan.make(plan.gather())
    assert Plan.from_bytes(made.to_bytes()) == made


def test_a_spoilt_cache_costs_a_compile_and_nothing_else(bpf, tmp_path, monkeypatch):
    """Every kept file changed by one bit: the probes are made anew, and -v says why."""
    from lazyobs.sources.open import attach

    def start():
        _, session = attach(None, "tracepoint", ("slab", "process"))
        session.close()
        return session

    monkeypatch.setattr("lazyobs.bpf.session._LOADER_CODE", loader_with_cache(tmp_path))
    monkeypatch.setenv(COMPILE, "1")
    monkeypatch.setattr(Cache.__init__, "__defaults__", ((str(tmp_path / "kept"),),))
    assert start().compiled
    again = start()
    assert not again.compiled and again.ignored == []
    files = list((tmp_path / "kept").iterdir())
    assert sorted(file.suffix for file in files) == [".image", ".plan"]
    for file in files:
        raw = bytearray(file.read_bytes())
        raw[-2] ^= 1
        file.write_bytes(raw)
    spoilt = start()
    assert spoilt.compiled and spoilt.tiers == {"slab": "tracepoint", "process": "tracepoint"}
    assert len(spoilt.ignored) == 2 and all("not what was written" in why for why in spoilt.ignored)


def loader_with_cache(folder) -> str:
    return (
        "import sys; sys.path.append(sys.argv[1]); from lazyobs.bpf import cache, loader; "
        f"cache.Cache.__init__.__defaults__ = (({str(folder / 'kept')!r},),); loader.main(int(sys.argv[-1]))"
    )


def test_a_service_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory of another user than root's would hide root's entries; root takes no directory from its environment."""
    monkeypatch.setenv("CACHE_DIRECTORY", "/var/cache/lazyobs-export")
    monkeypatch.setattr(os, "geteuid", lambda: 101)
    assert cache.places() == ("/var/cache/lazyobs-export", *cache.DIRECTORIES)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert cache.places() == cache.DIRECTORIES
    monkeypatch.setattr(os, "geteuid", lambda: 101)
    monkeypatch.setenv("CACHE_DIRECTORY", "relative")
    assert cache.places() == cache.DIRECTORIES


def test_no_process_loads_openssl_to_look_for_a_name():
    """It takes four megabytes of what stays in memory with a screen."""
    modules = "lazyobs.cli, lazyobs.commands.top, lazyobs.sources.loading, lazyobs.bpf.session, lazyobs.bpf.loader"
    code = f"import sys, {modules}; print([name for name in ('hashlib', '_hashlib', 'ssl') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
