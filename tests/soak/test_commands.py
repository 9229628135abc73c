# SPDX-License-Identifier: MIT
"""report and compare as they are typed, on the example recordings."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from pyarrow import parquet

from lazyobs.commands import verdict_options
from lazyobs.commands.compare import compare
from lazyobs.commands.report import report
from lazyobs.errors import EXIT_BAD, EXIT_OK, EXIT_REFUSED, EXIT_USAGE, NotSupported
from lazyobs.soak.schema import verdict_schema
from tests.harness import ROOT, lazyobs

pytestmark = pytest.mark.slow

LAB, DEBIAN = str(ROOT / "examples/lab"), str(ROOT / "examples/debian-6.12")


def test_some_seconds_are_inconclusive() -> None:
    done = lazyobs("report", LAB)
    assert done.returncode == EXIT_OK and done.stderr == ""
    assert done.stdout.startswith("INCONCLUSIVE\n")
    samples = parquet.read_table(f"{LAB}/samples-000001.parquet")["time"].to_pylist()
    told = f"{len(samples)} samples in {samples[-1] - samples[0]:.0f} s; 30 minutes and 20 samples are needed"
    assert told in done.stdout


def test_need_pass_wants_proof() -> None:
    assert lazyobs("report", "--need-pass", LAB).returncode == EXIT_BAD


@pytest.mark.parametrize("form", [["--json"], ["-o", "json"]])
def test_json_is_one_object(form: list[str]) -> None:
    done = lazyobs("report", *form, LAB, DEBIAN)
    verdict = json.loads(done.stdout)
    jsonschema.validate(verdict, verdict_schema())
    assert {one["recording"] for one in verdict["findings"]} == {"lab", "debian-6.12"}
    assert verdict["identity"]["lab"]["release"] == "6.12.117"


def test_csv_has_a_row_a_finding() -> None:
    done = lazyobs("compare", "-o", "csv", "--base", LAB, "--new", DEBIAN)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {row["word"] for row in rows} == {"INCONCLUSIVE"}
    assert any(row["name"] == "identity release" for row in rows)


def test_text_has_72_columns_and_a_page_stands_alone(tmp_path: Path) -> None:
    done = lazyobs("report", LAB, "--text", "--html", str(tmp_path / "page.html"))
    assert done.returncode == EXIT_OK
    assert max(map(len, done.stdout.splitlines())) <= 72 and not done.stdout.endswith("\n\n")
    assert "<html" in (tmp_path / "page.html").read_text()


def test_a_page_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = lazyobs("report", LAB, "--html", str(tmp_path / "file" / "page.html"))
    assert done.returncode == EXIT_REFUSED and "cannot be written" in done.stderr and done.stdout == ""


def test_thresholds_of_ones_own(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[gate]\nminutes = 0.2\n")
    assert "12 s and 20 samples are needed" in lazyobs("report", "--thresholds", str(rules), LAB).stdout
    rules.write_text("[gate]\nminuets = 0.2\n")
    done = lazyobs("report", "--thresholds", str(rules), LAB)
    assert done.returncode == EXIT_USAGE and "knows no gate.minuets" in done.stderr


def test_the_same_recording_twice_is_refused(tmp_path: Path) -> None:
    shutil.copytree(LAB, tmp_path / "copy")
    for arguments in (["report", LAB, str(tmp_path / "copy")], ["compare", "--base", LAB, "--new", LAB]):
        done = lazyobs(*arguments)
        assert done.returncode == EXIT_USAGE and "of the same time of one boot" in done.stderr
        assert len(done.stderr.splitlines()) == 1 and done.stdout == ""


def test_two_kernels_in_an_arm_are_refused() -> None:
    done = lazyobs("compare", "--base", LAB, DEBIAN, "--new", LAB)
    assert done.returncode == EXIT_USAGE and "are not of one kernel (release is" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["report"], EXIT_USAGE, "report needs DIR..."),
        (["compare"], EXIT_USAGE, "compare: needs two arms; use compare BASE NEW, or --base DIR..."),
        (["compare", "--base", LAB], EXIT_USAGE, "compare: needs --new, too; use"),
        (["compare", "--new", LAB], EXIT_USAGE, "compare: needs --base, too; use"),
        (["compare", LAB], EXIT_USAGE, "compare: takes two directories, and 1 was given; use"),
        (["compare", LAB, DEBIAN, LAB], EXIT_USAGE, "compare: takes two directories, and 3 were given; use"),
        (["compare", "--base", "--new", LAB], EXIT_USAGE, "--base needs a directory"),
        (["compare", "--base", LAB, "--calibrate", LAB, "--new", LAB], EXIT_USAGE, "both name an arm"),
        (["report", "--json", "--text", LAB], EXIT_USAGE, "--text is a format of its own"),
        (["report", "--json", "-o", "csv", LAB], EXIT_USAGE, "choose one"),
        (["report", "--engine", "abacus", LAB], EXIT_USAGE, "no such engine"),
        (["report", "/nowhere"], EXIT_REFUSED, "no such directory"),
        (["report", str(ROOT / "docs")], EXIT_REFUSED, "lazyobs did not make it"),
    ],
)
def test_usage(arguments: list[str], code: int, words: str) -> None:
    done = lazyobs(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr and len(done.stderr.splitlines()) == 1


def test_arms_take_directories_to_the_next_option() -> None:
    arguments = ["--base", "a", "b", "c", "--calibrate", "--new", "d", "e", "-o", "json", "--base", "f"]
    context = compare.make_context("compare", arguments)
    assert context.params["base"] == ("a", "b", "c", "f") and context.params["new"] == ("d", "e")
    assert context.params["calibrate"] and context.params["output"] == "json"


def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict_options, "_LIBRARIES", ("scipy", "no_such_library"))
    with pytest.raises(
        NotSupported, match=r"report: needs no_such_library; run make setup in the checkout, or there: pip"
    ):
        report.main([DEBIAN], standalone_mode=False)


def test_other_commands_do_not_import_them() -> None:
    code = "import sys, lazyobs.cli, lazyobs.commands.top, lazyobs.commands.record; print([m for m in ('scipy', 'ibis', 'duckdb', 'plotly') if m in sys.modules])"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_directories_of_one_name_are_told_apart(tmp_path: Path) -> None:
    document = json.loads(Path(DEBIAN, "recording.json").read_text())
    document["identity"]["boot_id"] = "another"
    shutil.copytree(DEBIAN, tmp_path / "debian-6.12")
    (tmp_path / "debian-6.12/recording.json").write_text(json.dumps(document))
    verdict = json.loads(lazyobs("report", "--json", DEBIAN, str(tmp_path / "debian-6.12")).stdout)
    assert set(verdict["identity"]) == {"examples/debian-6.12", f"{tmp_path.name}/debian-6.12"}


@pytest.mark.parametrize(
    "command", [["report", "{}"], ["compare", "--base", "{}", "--new", DEBIAN]], ids=["report", "compare"]
)
@pytest.mark.parametrize("form", [[], ["--text"], ["-o", "json"]], ids=["table", "text", "json"])
def test_a_command_line_stays_where_it_was_recorded(tmp_path: Path, command: list[str], form: list[str]) -> None:
    """Recordings of 0.1.0 have the kernel's whole command line: it is shown on request alone."""
    old = tmp_path / "old"
    shutil.copytree(LAB, old)
    file = old / "recording.json"
    document = json.loads(file.read_text())
    document["identity"]["cmdline"] += " password=tr0ub4dor slab_nomerge"
    file.write_text(json.dumps(document))
    command = [word.format(old) for word in command]
    page = tmp_path / "page.html"
    shown = lazyobs(*command, *form, "--html", str(page)).stdout
    assert "tr0ub4dor" not in shown and "tr0ub4dor" not in page.read_text()
    assert "slab_nomerge" in page.read_text()
    lazyobs(*command, *form, "--html", str(page), "--cmdline")
    assert "password=tr0ub4dor" in page.read_text()
