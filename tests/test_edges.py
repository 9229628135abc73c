# SPDX-License-Identifier: MIT
"""Every place where text leaves lazyobs: the list, and hostile text sent through each."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lazyobs.exporter.application import make_application
from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.collector import LazyobsCollector
from lazyobs.exporter.page import Page, PageError
from lazyobs.views import columns, tables
from lazyobs.views.live_table import LiveTables
from tests import hostile
from tests.exporter.host import Host
from tests.exporter.starting import exporters
from tests.harness import ROOT, lazyobs, python
from tests.hostile import HOSTILE, acting

# The files that write, and what keeps outside text harmless there. A file that is not named may not write.
SAID = "text.say: one printable line on standard error"
OURS = "only text of this program, and numbers"
PIPE = "to a process or file of ours, which no person reads"
MEMORY = "contents of its own pages"
EDGES = {
    "bpf/cache.py": PIPE,
    "bpf/compiler.py": SAID,
    "bpf/headers.py": PIPE,
    "bpf/loader.py": PIPE,
    "bpf/make_images.py": OURS,
    "cli.py": SAID,
    "commands/census.py": SAID,
    "commands/completion.py": OURS,
    "commands/doctor.py": SAID,
    "commands/export.py": SAID,
    "commands/help.py": OURS,
    "commands/options.py": SAID,
    "commands/replay_options.py": SAID,
    "commands/summary.py": SAID,
    "commands/top_tables.py": SAID,
    "commands/trace.py": SAID,
    "commands/verdict.py": "the letter: soak/text_report.py makes each line printable ASCII",
    "entry.py": "a line of ours with the text of an errno",
    "exporter/collector.py": SAID,
    "exporter/privileged_reader.py": SAID,
    "commands/version.py": OURS,
    "exporter/admission.py": SAID,
    "exporter/reference.py": OURS,
    "exporter/run.py": SAID,
    "exporter/request.py": "labels: collector.py makes each printable; messages: application.py",
    "invariants.py": OURS,
    "judge/base.py": SAID,
    "judge/boots.py": PIPE,
    "judge/inside.py": "JSON, for the host, which takes it for hostile (judge/checks.py)",
    "judge/libraries.py": SAID,
    "judge/more.py": "JSON; sentences through judge/progress.py",
    "judge/progress.py": SAID,
    "judge/resume.py": SAID,
    "judge/run.py": "the letter: judge/letter.py makes each line printable ASCII; JSON",
    "judge/schema.py": OURS,
    "judge/state.py": "JSON; the letter; the page, in which judge/page.py escapes each text",
    "judge/trial.py": SAID,
    "judge/waits.py": "JSON, for the host, which takes it for hostile (judge/measure.py)",
    "manual.py": OURS,
    "recorder/loop.py": "numbers; the directory's name through printable; JSON",
    "recorder/run.py": SAID,
    "recorder/workload.py": "the command through printable; a byte to a pipe",
    "recording/directory.py": PIPE,
    "schema.py": OURS,
    "screen/driver.py": "lines of screen/view.py, whose cells are printable",
    "screen/mapping_table.py": "Column.write, which makes a cell printable",
    "screen/run.py": PIPE,
    "screen/settings.py": PIPE,
    "screen/table_lines.py": "Column.write, which makes a cell printable",
    "screen/terminal_guard.py": OURS,
    "screen/web/run.py": "the address through printable",
    "screen/web/sampler.py": PIPE,
    "screen/web/server.py": SAID,
    "screen/web/sessions.py": "the error through printable",
    "selftest/family.py": PIPE,
    "selftest/features.py": PIPE,
    "selftest/memory.py": PIPE,
    "selftest/observe.py": "the report through printable; JSON",
    "selftest/results.py": "_one_line makes each line printable; JSON",
    "selftest/run.py": "scenarios' own names; reasons through printable; JSON",
    "selftest/scenarios/file.py": PIPE,
    "selftest/scenarios/memory_failure.py": PIPE,
    "selftest/scenarios/migration.py": PIPE,
    "selftest/scenarios/mthp.py": MEMORY,
    "selftest/scenarios/pinned.py": PIPE,
    "selftest/scenarios/races.py": MEMORY,
    "selftest/scenarios/thp.py": MEMORY,
    "selftest/scenarios/userfault.py": MEMORY,
    "selftest/settings_guard.py": SAID,
    "selftest/swap.py": PIPE,
    "selftest/worker.py": PIPE,
    "selftest/workers.py": PIPE,
    "soak/html_report.py": "html.escape(printable()) around each text; JSON",
    "soak/output.py": "views/report_table.py makes each cell printable; csv_safe; JSON",
    "soak/engine/spark.py": SAID,
    "soak/schema.py": OURS,
    "sources/climbing.py": SAID,
    "sources/own_cost.py": SAID,
    "sources/patience.py": "the line through printable",
    "text.py": "text.say itself",
    "unix/aside.py": PIPE,
    "unix/memory_limits.py": PIPE,
    "unix/stdio.py": "each line of a traceback through printable",
    "views/against.py": "views/report_table.py, csv_safe, printable; JSON",
    "views/census.py": "views/report_table.py and csv_safe; JSON",
    "views/columns.py": "Column.write, which makes a cell printable",
    "views/doctor.py": "views/report_table.py, csv_safe, printable; JSON",
    "views/lines.py": "csv_safe",
    "views/orphans.py": "views/report_table.py and csv_safe, printable around each line; JSON",
    "views/plain_screen.py": "lines of views/top.py",
    "views/images.py": "views/report_table.py, csv_safe; JSON; the rest is text of ours",
    "views/summary.py": "printable around each line, csv_safe; JSON",
    "views/top.py": "views/live_table.py, csv_safe, printable; JSON",
    "views/trace.py": "printable around each line, csv_safe; JSON",
    "views/plain_rows.py": "views/report_table.py, csv_safe, printable; JSON",
    "exporter/textfile.py": "the page of exporter/collector.py; its own lines through printable",
    "commands/dashboards.py": "names through printable; files of ours",
    "commands/examples.py": "names through printable",
    "selftest/kernel_run.py": "each line of the test through printable; JSON",
    "views/would.py": "text through tables.table and csv_safe; JSON",
}
WRITERS = ("print", "say", "write", "writelines", "writerow", "writerows", "echo", "secho")


def _writing(file: Path) -> Iterator[str]:
    """The calls in a file that write text somewhere."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in WRITERS:
            yield f"{file.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)[:80]}"


def test_every_file_that_writes_is_in_the_list() -> None:
    found = {str(file.relative_to(ROOT / "lazyobs")): list(_writing(file)) for file in (ROOT / "lazyobs").rglob("*.py")}
    writes = {name: calls for name, calls in found.items() if calls}
    assert {name: calls for name, calls in writes.items() if name not in EDGES} == {}
    assert sorted(set(EDGES) - set(writes)) == []


def test_lines_on_standard_error_are_said() -> None:
    """A print to standard error would skip printable()."""
    wrong = []
    for file in (ROOT / "lazyobs").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) == "print"
                and "file=sys.stderr" in ast.unparse(node)
            ):
                wrong.append(f"{file.relative_to(ROOT)}")
    assert sorted(wrong) == sorted(
        ["lazyobs/recorder/loop.py"] * 2  # lines of progress, which are rewritten in place
        + ["lazyobs/sources/patience.py"] * 2
        + ["lazyobs/text.py", "lazyobs/unix/stdio.py"]
    )


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Recordings of two arms, in a directory whose name is hostile too."""
    folder = tmp_path_factory.mktemp("evil") / HOSTILE.replace("/", "_")
    folder.mkdir()
    names = [f"{arm}-{number}" for arm in ("base", "new") for number in range(4)]
    return {name: str(hostile.recording(folder / name, name)) for name in names}


def _arms(evil: dict[str, str]) -> list[str]:
    return [word for name, path in evil.items() for word in (f"--{name.partition('-')[0]}", path)]


FORMS = {
    "top": [["-o", "table"], ["-o", "csv"], ["-o", "json"], ["--view", ",".join(columns.VIEWS)]],
    "census": [["-o", "table"], ["-o", "csv"], ["-o", "json"]],
    "summary": [["-o", "table"], ["-o", "csv"], ["-o", "json"]],
    "trace": [["-o", "table"], ["-o", "csv"], ["-o", "json"]],
    "report": [["-o", "table"], ["-o", "csv"], ["-o", "json"], ["--text"]],
    "compare": [["-o", "table"], ["-o", "csv"], ["-o", "json"], ["--text"]],
}


@pytest.mark.slow
@pytest.mark.parametrize(("command", "form"), [(command, form) for command, forms in FORMS.items() for form in forms])
def test_a_hostile_recording(evil: dict[str, str], command: str, form: list[str]) -> None:
    first = next(iter(evil.values()))
    inputs = {"report": [first], "compare": _arms(evil)}.get(command, ["--replay", first])
    batch = ["-b", "-n", "2"] if command == "top" else []
    speed = ["--speed", "1000"] if command in ("top", "trace") else []
    done = lazyobs(command, *inputs, *batch, *speed, *form)
    assert done.stdout, done.stderr
    assert acting(done.stdout, lines="--text" not in form) == [] and acting(done.stderr) == []
    if "json" in form:
        for line in done.stdout.splitlines():
            json.loads(line)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["report", "compare"])
def test_the_page_of_a_hostile_recording(evil: dict[str, str], command: str, tmp_path: Path) -> None:
    inputs = [next(iter(evil.values()))] if command == "report" else _arms(evil)
    done = lazyobs(command, *inputs, "--html", str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page, done.stderr
    assert acting(page, pages=True) == []
    assert "<b>INJECTED" not in page


def test_tables_of_a_hostile_kernel() -> None:
    sample = hostile.live(Host().read())
    views = (tables.view(sample, name, sample.processes, "pid", LiveTables()) for name in columns.VIEWS)
    shown = [*tables.header(sample), *views]
    assert acting("\n".join(shown)) == []
    assert "evil" in "\n".join(shown)


def test_labels_of_a_hostile_kernel() -> None:
    class Evil(Host):
        def read(self):  # type: ignore[no-untyped-def]
            return hostile.live(super().read())

    page = Page(LazyobsCollector(Evil(), CgroupFold()))  # type: ignore[arg-type]
    for openmetrics in (False, True):
        text = page.text(openmetrics).decode()
        assert acting(text) == [] and "evil" in text


def test_an_answer_about_a_hostile_error() -> None:
    class Broken:
        error = HOSTILE

        def text(self, openmetrics: bool = False) -> bytes:
            raise PageError(HOSTILE)

    answer = make_application(Broken())("/metrics", {})
    assert answer.status == 503 and acting(answer.body.decode()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["top", "-b", "-n", "1"], ["top", "-b", "-n", "1", "-o", "csv"], ["census"], ["census", "-o", "json"]]
)
def test_a_hostile_process(arguments: list[str]) -> None:
    code = (
        "import ctypes, time; ctypes.CDLL(None).prctl(15, b'x\\x1b[2J\\xc2\\x9bm\\n', 0, 0, 0);"
        "print(flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as named:
        try:
            assert named.stdout is not None and named.stdout.readline()
            done = lazyobs(*arguments, "--tier", "procfs", *(["-p", str(named.pid)]))
        finally:
            named.kill()
    assert "x?[2J?m?" in done.stdout or "x\\u001b" in done.stdout, done.stderr
    assert acting(done.stdout) == [] and acting(done.stderr) == []


WORDS = (
    ["top", "-s", HOSTILE], ["top", "-u", HOSTILE], ["top", "-c", HOSTILE, "-b", "-n", "1", "--tier", "procfs"],
    ["top", "--view", HOSTILE], ["top", "--replay", HOSTILE], ["top", "--profile", HOSTILE], ["top", "--web", HOSTILE],
    ["census", "--replay", HOSTILE], ["census", "-p", HOSTILE], ["trace", "-e", HOSTILE], ["trace", "--replay", HOSTILE],
    ["report", HOSTILE], ["report", HOSTILE, "--thresholds", HOSTILE], ["report", "--engine", HOSTILE, "x"], ["compare", "--base", HOSTILE, "--new", HOSTILE],
    ["export", "--listen", HOSTILE], ["export", "--config", HOSTILE], ["export", "--web-config", HOSTILE],
    ["export", "--replay", HOSTILE], ["export", "--tier", HOSTILE], ["selftest", "--only", HOSTILE],
    ["record", "-o", "/proc/self/x/" + HOSTILE], ["record", "-o", "/dev/null", "--keep-on", HOSTILE], [HOSTILE], ["doctor", "--profile", HOSTILE],
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("arguments", WORDS, ids=lambda words: " ".join(words).replace(HOSTILE, "HOSTILE")[:40])
def test_a_hostile_command_line(arguments: list[str]) -> None:
    done = lazyobs(*arguments)
    assert acting(done.stdout) == [] and acting(done.stderr) == []
    assert done.returncode in (0, 2, 3) and "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_hostile_command_of_a_recording(tmp_path: Path) -> None:
    done = lazyobs("record", "-o", str(tmp_path / "r"), "--tier", "procfs", "--", HOSTILE)
    assert done.returncode == 127 and acting(done.stderr) == []


def test_a_traceback_of_a_hostile_error() -> None:
    code = f"import lazyobs.cli as c; c._exit_code = lambda: (_ for _ in ()).throw(ValueError({HOSTILE!r})); c.main()"
    _, errors, status = python(code)
    assert status == 3, "1 is a verdict"
    assert "ValueError: evil" in errors and acting(errors, lines=False) == []
    assert "an error of lazyobs itself, so there is no answer" in errors.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["doctor", "top", "export", "trace", "record"])
def test_a_hostile_profile(tmp_path: Path, command: str) -> None:
    """What the name of a profile may hold is checked when it is read, and the message about it is clean."""
    for name in ("\\u001b]0;owned", "\\u202Eevil", "\\u009b2J", "a\\nINJECTED"):
        (tmp_path / "p.toml").write_text(f'name = "{name}"\nabout = "{name}"\n')
        output = ["-o", str(tmp_path / "r")] if command == "record" else []
        done = lazyobs(command, "--profile", str(tmp_path / "p.toml"), *output)
        assert done.returncode == 2 and acting(done.stderr) == [], done.stderr


@pytest.mark.slow
def test_exported_recording(evil: dict[str, str]) -> None:
    with exporters(Path(os.path.dirname(next(iter(evil.values())))).parent) as start:
        page = start("--replay", next(iter(evil.values()))).get().decode()
    assert acting(page) == []
