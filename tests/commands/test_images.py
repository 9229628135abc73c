# SPDX-License-Identifier: MIT
"""``lazyobs images``, ``--compile``, and what is said of where the probes are from."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from lazyobs.bpf import images
from lazyobs.cli import cli
from lazyobs.sources.open import attach
from lazyobs.views import images as view
from tests.harness import lazyobs


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["images", *arguments])
    return result.exit_code, result.output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in images.files():
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(view.rows, "__defaults__", (str(tmp_path),))
    return tmp_path


def test_those_that_come_along_are_usable() -> None:
    status, text = run("-o", "json")
    found = {row["image"]: row for row in map(json.loads, text.splitlines())}
    assert status == 0 and sorted(found) == ["events.img", "plain.img"]
    for name, row in found.items():
        assert row["usable"] and row["why_not"] is None and row["events"] == (name == "events.img")
        assert row["bytes"] == Path(images.FOLDER, name).stat().st_size
        assert sum(row["programs"].values()) == row["instructions"] and row["programs"]["slab_alloc"] > 101


def test_as_a_table_and_as_csv() -> None:
    status, text = run("--programs")
    assert status == 0 and text.splitlines()[1].split()[:3] == ["events.img", "yes", "yes"]
    assert any(line.split()[:1] == ["slab_alloc"] for line in text.splitlines())
    rows = list(csv.DictReader(io.StringIO(run("-o", "csv")[1])))
    assert [(row["image"], row["usable"]) for row in rows] == [("events.img", "True"), ("plain.img", "True")]


def test_one_that_is_damaged_is_said_to_be(folder: Path) -> None:
    (folder / "plain.img").write_bytes((folder / "plain.img").read_bytes()[:-7])
    status, text = run("-o", "json")
    damaged = json.loads(text.splitlines()[1])
    assert status == 1 and not damaged["usable"] and damaged["programs"] is None
    assert damaged["why_not"] == "damaged: its content is not what was written"
    assert "no: damaged" in run()[1]


def test_one_of_other_probes_is_said_to_be(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lazyobs.bpf.template.text", lambda events: f"other {events}")
    status, text = run("-o", "json")
    assert status == 1
    assert {json.loads(line)["why_not"] for line in text.splitlines()} == {"of other probes than these: make images"}


def test_where_there_are_none(folder: Path) -> None:
    for name in ("plain.img", "events.img"):
        (folder / name).unlink()
    assert run()[0] == 1 and run()[1].startswith("no images in ")


def test_a_start_says_where_the_probes_are_from(bpf: None) -> None:
    document = json.loads(lazyobs("doctor", "-o", "json").stdout)
    assert document["kernel"]["probes"].startswith("from plain.img, made by BCC ")
    done = lazyobs("census", "-o", "json", "-v", "--compile")
    assert done.returncode == 0 and "because --compile asks for it" in done.stderr


@pytest.mark.parametrize("compiled", ["", "1"])
def test_counts_are_exact_from_an_image_and_compiled(
    bpf: None, live, islands, monkeypatch: pytest.MonkeyPatch, compiled: str
) -> None:
    monkeypatch.setenv("LAZYOBS_COMPILE", compiled)
    source = live(cap="tracepoint")
    assert source.session.image == ("" if compiled else "plain.img")
    program = islands(101)
    counts = [next(one for one in source.read().processes if one.pid == program.pid).counts]
    for command in ("touch", "fork"):
        program.tell(command)
        counts.append(next(one for one in source.read().processes if one.pid == program.pid).counts)
    touched = {name: counts[1][name] - counts[0][name] for name in ("prepares", "anon_vma_allocs", "chain_allocs")}
    assert touched == {"prepares": 101, "anon_vma_allocs": 101, "chain_allocs": 101}
    assert counts[2]["forks"] - counts[1]["forks"] == 1
    assert counts[2]["fork_chains"] - counts[1]["fork_chains"] > 101


def test_an_edited_probe_without_a_compiler_is_one_line(bpf: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from lazyobs.bpf import plan
    from lazyobs.bpf.session import CompilerNotFound, Loader

    made = plan.make(plan.gather(), "tracepoint")
    made.source += "\n/* edited */"
    with pytest.raises(CompilerNotFound) as refused:
        Loader(sys.executable).load(made)
    assert "\n" not in str(refused.value)
    assert "the probes were changed since the images were made" in str(refused.value)
    assert "no compiler is there" in str(refused.value)


def test_without_bcc_a_start_is_as_with_it(bpf: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under an interpreter that has none, here the tests' own."""
    import sys

    monkeypatch.setenv("LAZYOBS_BCC_PYTHON", sys.executable)
    _, session = attach(None, "tracepoint", ("slab", "process", "census"))
    with session:
        assert session.image == "plain.img" and session.interpreter == sys.executable
        assert session.tiers == {"slab": "tracepoint", "process": "tracepoint", "census": "iter"}
