# SPDX-License-Identifier: MIT
"""What comes along beside the modules, and the commands that hand it out."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lazyobs import __version__, shipped
from lazyobs.errors import EXIT_REFUSED, EXIT_USAGE
from tests.harness import LAZYOBS, ROOT, lazyobs, need_programs

HASH = "0123456789abcdef0123456789abcdef01234567"


def test_examples_are_listed() -> None:
    rows = [json.loads(line) for line in lazyobs("examples", "-o", "json").stdout.splitlines()]
    assert [(row["name"], row["profile"], row["lazy_enabled"]) for row in rows] == [
        ("debian-6.12", "mainline", None),
        ("faulty-7.3", "lab73", True),
        ("lab", "lab", True),
        ("lazy-7.3", "lab73", True),
        ("leak", "mainline", None),
        ("stock-7.3", "mainline", None),
    ]
    assert all(Path(row["path"]) == ROOT / "examples" / row["name"] for row in rows)
    files = {row["name"]: [file for file in Path(row["path"]).rglob("*") if file.is_file()] for row in rows}
    assert all(row["bytes"] == sum(file.stat().st_size for file in files[row["name"]]) for row in rows)
    assert {row["name"]: row["boots"] for row in rows if row["boots"] > 1} == {"lazy-7.3": 5, "stock-7.3": 5}
    assert all(row["shows"] and row["command"].startswith("lazyobs ") for row in rows)
    assert (
        lazyobs("examples", "-o", "csv").stdout.splitlines()[0]
        == "name,kernel,profile,lazy_enabled,bytes,path,boots,seconds,shows,command"
    )
    table = lazyobs("examples").stdout.splitlines()
    assert table[0].split() == ["NAME", "KERNEL", "BOOTS", "SECONDS", "SHOWS", "COMMAND"]
    assert [line.split()[0] for line in table[1:]] == [row["name"] for row in rows]


def test_an_example_is_copied(tmp_path: Path) -> None:
    done = lazyobs("examples", "lab", cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.stdout == "lab: lazyobs top --replay lab\n"
    for file in (ROOT / "examples/lab").iterdir():
        assert (tmp_path / "lab" / file.name).read_bytes() == file.read_bytes()
    again = lazyobs("examples", "lab", str(tmp_path / "lab"))
    assert (again.returncode, again.stderr) == (
        EXIT_USAGE,
        f"lazyobs: {tmp_path}/lab: is there already; name a new directory\n",
    )


def test_an_example_of_several_boots_is_all_of_them(tmp_path: Path) -> None:
    """For report and compare; the others show the first, or the one that is named."""
    (place,) = {path.parent for path in map(Path, shipped.recordings("stock-7.3"))}
    assert place == ROOT / "examples/stock-7.3"
    assert [Path(path).name for path in shipped.recordings("stock-7.3")] == [f"boot-{number}" for number in range(1, 6)]
    first, second = (
        json.loads(lazyobs("summary", "--replay", name, "-o", "json").stdout)
        for name in ("stock-7.3", "stock-7.3/boot-2")
    )
    assert first != second
    assert json.loads(lazyobs("summary", "--replay", "stock-7.3/boot-1", "-o", "json").stdout) == first
    verdict = json.loads(lazyobs("report", "-o", "json", "stock-7.3").stdout)
    assert len(verdict["identity"]) == 5
    # Nor does it matter whether they were copied.
    assert lazyobs("examples", "stock-7.3", str(tmp_path / "mine")).stdout.endswith(f"lazyobs report {tmp_path}/mine\n")
    assert shipped.recordings(str(tmp_path / "mine")) == [f"{tmp_path}/mine/boot-{number}" for number in range(1, 6)]
    for name in ("stock-7.3/../leak", "stock-7.3/boot-1/../../leak", "x" * 300):
        assert shipped.recordings(name) == [name]
    (tmp_path / "mine").chmod(0)
    reader = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *LAZYOBS]
    tmp_path.chmod(0o755)
    closed = subprocess.run(
        [*reader, "report", str(tmp_path / "mine/boot-1")], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert closed.returncode == EXIT_REFUSED and len(closed.stderr.splitlines()) == 1, closed.stderr
    gone = lazyobs("summary", "--replay", "stock-7.3/boot-9")
    assert (gone.returncode, gone.stdout) == (EXIT_REFUSED, "") and "there is no such" in gone.stderr


def test_an_example_that_is_none() -> None:
    done = lazyobs("examples", "lba")
    there = "debian-6.12, faulty-7.3, lab, lazy-7.3, leak, stock-7.3"
    words = f"there is no example 'lba' (did you mean lab?); there are {there}; see lazyobs examples --help"
    assert (done.returncode, done.stderr) == (EXIT_USAGE, f"lazyobs: {words}\n")


def test_a_replay_finds_an_example_by_name(tmp_path: Path) -> None:
    elsewhere: dict[str, Any] = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
    named = lazyobs("census", "--replay", "lab", "-o", "json", **elsewhere)
    assert named.returncode == 0
    assert named.stdout == lazyobs("census", "--replay", "examples/lab", "-o", "json").stdout != ""
    (tmp_path / "lab").mkdir()  # as in a checkout: no recording
    assert lazyobs("census", "--replay", "lab", "-o", "json", **elsewhere).stdout == named.stdout
    (tmp_path / "lab/recording.json").write_text("{}")  # whatever it is, it was meant
    refused = lazyobs("census", "--replay", "lab", **elsewhere)
    assert (refused.returncode, "recording lab: recording.json is damaged" in refused.stderr) == (EXIT_REFUSED, True)
    assert lazyobs("top", "--replay", "nothing").stderr.startswith("lazyobs: recording nothing: there is no such")


def test_boards_and_rules_are_copied(tmp_path: Path) -> None:
    assert lazyobs("dashboards", str(tmp_path / "d")).returncode == 0
    there = {str(file.relative_to(tmp_path / "d")) for file in (tmp_path / "d").rglob("*") if file.is_file()}
    assert {"grafana/host.json", "prometheus/lazyobs.rules.yml", "prometheus/lazyobs.alerts.yml"} <= there
    assert not [name for name in there if name.endswith((".py", ".pyc"))]


def test_boards_and_rules_are_provisioned(tmp_path: Path) -> None:
    """Twice: the second time in place of the first, with the modes that the servers' own users can read."""
    said = []
    for _ in range(2):
        done = lazyobs("dashboards", "--provision", "--root", str(tmp_path))
        assert done.returncode == 0, done.stderr
        said.append(done.stderr)
    new = f"{tmp_path}/etc/%s was not there and is new: %s does not seem to be installed"
    assert new % ("prometheus", "Prometheus") in said[0] and new % ("grafana", "Grafana") in said[0]
    assert said[1] == ""
    there = {str(file.relative_to(tmp_path)): file for file in tmp_path.rglob("*") if file.is_file()}
    assert len(there) == 6
    assert all(file.stat().st_mode & 0o777 == 0o644 for file in there.values())
    provider = there["etc/grafana/provisioning/dashboards/lazyobs.yml"].read_text()
    assert "path: /var/lib/grafana/dashboards/lazyobs\n" in provider
    boards = {name for name in there if name.startswith("var/lib/grafana/dashboards/lazyobs/")}
    assert {Path(name).name for name in boards} == {file.name for file in (ROOT / "dashboards/grafana").glob("*.json")}
    assert "rule_files: [lazyobs.rules.yml, lazyobs.alerts.yml]" in done.stdout
    assert {"etc/prometheus/lazyobs.rules.yml", "etc/prometheus/lazyobs.alerts.yml"} < set(there)


@pytest.mark.parametrize("words", [(), ("d", "--provision")])
def test_one_of_the_two_is_asked_for(words: tuple[str, ...]) -> None:
    done = lazyobs("dashboards", *words)
    assert (done.returncode, done.stdout) == (EXIT_USAGE, "")


def test_a_checkout_says_its_commit() -> None:
    need_programs("git")
    command = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "rev-parse", "HEAD"]
    head = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    if head:
        assert shipped.version(__version__) == f"{__version__} (commit {head[:12]})"
        assert lazyobs("--version").stdout == f"lazyobs, version {__version__} (commit {head[:12]})\n"


@pytest.mark.parametrize(
    ("files", "commit"),
    [
        ({"HEAD": HASH}, HASH),
        ({"HEAD": "ref: refs/heads/main", "refs/heads/main": HASH}, HASH),
        ({"HEAD": "ref: refs/heads/main", "packed-refs": f"# pack-refs\n{HASH} refs/heads/main\n"}, HASH),
        ({"HEAD": "ref: refs/heads/main", "packed-refs": f"{HASH} refs/heads/mainly\n"}, ""),
        ({"HEAD": "ref: refs/heads/main"}, ""),
        ({"HEAD": "ref: ../../secret", "refs/heads/main": HASH}, ""),
        ({"HEAD": "\x1b[31m"}, ""),
        ({}, ""),
    ],
)
def test_commits_of_checkouts(tmp_path: Path, files: dict[str, str], commit: str) -> None:
    (tmp_path / "setup.cfg").write_text("")
    for name, text in files.items():
        (tmp_path / ".git" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / ".git" / name).write_text(text + "\n")
    assert shipped._checked_out(tmp_path) == commit
    (tmp_path / "setup.cfg").unlink()
    assert shipped._checked_out(tmp_path) == "", "a repository that holds an installation is not its checkout"


def test_the_commit_of_a_worktree(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/setup.cfg").write_text("")
    (tmp_path / "tree/.git").write_text(f"gitdir: {tmp_path}/git/worktrees/one\n")
    own = tmp_path / "git/worktrees/one"
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/one\n")
    (own / "commondir").write_text("../..\n")
    (tmp_path / "git/refs/heads").mkdir(parents=True)
    (tmp_path / "git/refs/heads/one").write_text(HASH + "\n")
    assert shipped._checked_out(tmp_path / "tree") == HASH
