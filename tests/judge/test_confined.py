# SPDX-License-Identifier: MIT
"""What a patch can do while it is built: write in two folders, as a user without an account, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from lazyobs.errors import NotPermitted
from lazyobs.judge import confined
from lazyobs.unix import landlock
from tests.harness import need_open_checkout, need_root, python
from tests.judge.trees import open_folder, running

# Runs in a process of its own, which is confined for good. Prints what it could do.
PROGRAM = """
import errno, json, os, socket, subprocess, sys
from pathlib import Path
from lazyobs.judge import confined, programs
cache, out, outside = map(Path, sys.argv[1:])
who = confined.builder()
for folder in (cache, out):
    confined.make_folder(folder, who)
listening = socket.create_server(("127.0.0.1", 0))
left = confined.confine(who, [cache, out])

def tried(what):
    try:
        what()
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]

def child(*words):
    return subprocess.run(words, capture_output=True).returncode

log = out / "log"
done = programs.run(["sh", "-c", "echo said; (setsid sleep 9973 &); exit 7"], log, 20, {"PATH": "/usr/bin:/bin", "PWD": str(cache)})
slow = programs.run(["sleep", "9973"], log, 1)
print(json.dumps({
    "left": left, "uid": os.getuid(), "euid": os.geteuid(), "groups": os.getgroups(),
    "own": tried(lambda: (cache / "x").write_text("x")), "out": tried(lambda: (out / "x").write_text("x")),
    "outside": tried(lambda: (outside / "x").write_text("x")), "tmp": tried(lambda: Path("/tmp/judge-was-here").write_text("x")),
    "link": tried(lambda: (cache / "l").symlink_to(outside)), "through": tried(lambda: (cache / "l/x").write_text("x")),
    "child": child("touch", str(outside / "y")), "null": tried(lambda: Path("/dev/null").write_text("x")),
    "root": tried(lambda: os.setuid(0)) if os.getuid() else "", "shadow": tried(lambda: Path("/etc/shadow").read_bytes()),
    "network": tried(lambda: socket.create_connection(listening.getsockname(), 2)),
    "status": done.status, "slow": slow.status, "log": log.read_text(),
}))
"""


def test_it_writes_in_two_folders_and_has_no_network() -> None:
    need_open_checkout()
    with open_folder() as folder:
        outside = folder / "outside"
        outside.mkdir()
        outside.chmod(0o777)
        printed, errors, status = python(PROGRAM, folder / "cache", folder / "out", outside)
        assert status == 0, errors
        found = json.loads(printed)
        assert (found["own"], found["out"], found["link"], found["null"]) == ("done",) * 4
        assert (found["status"], found["slow"], found["log"]) == (7, None, "said\n")
        assert running("sleep", "9973") == [], "what was left in the background is ended"
        if os.geteuid() == 0:
            assert found["uid"] == found["euid"] >= 1000 and found["groups"] in (
                [],
                [os.stat("/dev/kvm").st_gid] if os.path.exists("/dev/kvm") else [],
            )
            assert (found["root"], found["shadow"]) == ("EPERM", "EACCES")
            assert (folder / "cache").stat().st_uid == found["uid"]
        if landlock.version():
            assert found["left"] == [] or landlock.version() < 4
            assert {found["outside"], found["tmp"], found["through"]} == {"EACCES"} and found["child"] == 1
        if landlock.version() >= 4 or os.geteuid() == 0:
            assert found["network"] != "done"
        assert list(outside.iterdir()) == []
    assert not Path("/tmp/judge-was-here").exists()


def test_root_builds_as_another_user() -> None:
    need_root("it gives root up")
    who = confined.builder()
    assert who.changes and who.uid not in (0, os.geteuid())


def test_a_folder_that_the_builder_cannot_use(tmp_path: Path) -> None:
    who = confined.Builder(60917, 60917, "user 60917", changes=True)
    need_root("it makes folders of another user's")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(NotPermitted, match="is closed to the user 60917"):
        confined.make_folder(closed / "cache", who)
    assert list(closed.iterdir()) == []
    with open_folder() as folder:
        (folder / "full").mkdir()
        (folder / "full/x").write_text("of root")
        with pytest.raises(NotPermitted, match="belongs to root and is not empty"):
            confined.make_folder(folder / "full", who)
        (folder / "link").symlink_to("/etc")
        with pytest.raises(NotPermitted, match="cannot be made"):
            confined.make_folder(folder / "link", who)
        assert os.stat("/etc").st_uid == 0
        subprocess.run(["rm", "-rf", str(folder / "full")], check=True)


def test_a_root_that_has_no_other_user_builds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a user namespace with one number (unshare -Ur). It was a traceback, and a folder was left."""
    need_root("only root becomes another user")
    monkeypatch.setattr(confined, "_SELF", tmp_path)
    (tmp_path / "uid_map").write_text("         0          0 4294967295\n")
    for groups in ("0 1000 1\n", "0 1000 1\n1 100000 60916\n"):
        (tmp_path / "gid_map").write_text(groups)
        with pytest.raises(NotPermitted, match="is not there in this user namespace; run it as an ordinary user"):
            confined.builder()
    (tmp_path / "gid_map").write_text("0 1000 1\n1 100000 65536\n")
    assert confined.builder().changes


def test_a_name_that_is_too_long_is_said_by_who_makes_the_folder() -> None:
    who = confined.Builder(60917, 60917, "user 60917", changes=True)
    with open_folder() as folder, pytest.raises(NotPermitted, match=r"cannot be made \(File name too long\)"):
        confined.make_folder(folder / ("x" * 300) / "y", who)
