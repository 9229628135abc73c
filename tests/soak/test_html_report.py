# SPDX-License-Identifier: MIT
"""The page of report --html: what is in it, that a browser draws it, and that nothing leaves it."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from lazyobs.errors import NotSupported
from lazyobs.soak import html_report, html_report_data
from tests.harness import chromium
from tests.soak import verdicts


class _Seen(HTMLParser):
    """Every tag and its attributes, and the contents of each script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script":
            self.scripts.append(data)
        else:
            self.text += data


def _page(tmp_path: Path, verdict, recordings) -> tuple[Path, _Seen]:
    file = tmp_path / "page.html"
    html_report.write(verdict, recordings, str(file))
    return file, _Seen(file.read_text(encoding="utf-8"))


@pytest.fixture
def browse(tmp_path):
    """A function that opens a page in headless Chromium: (the document then, what it complained of)."""
    program = chromium()

    def browse(file: Path, width: int = 1280) -> tuple[str, list[str]]:
        options = (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
            "--disable-component-update --disable-sync --enable-logging=stderr --virtual-time-budget=20000 --dump-dom"
        )
        command = [
            program,
            *options.split(),
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},740",
            file.as_uri(),
        ]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout, re.findall(r":CONSOLE.*", answer.stderr)

    return browse


def test_drawn_in_a_browser(tmp_path, browse):
    """Two figures of intervals, one of time, one of a distribution; no complaint."""
    file, _ = _page(tmp_path, *verdicts.comparison())
    document, complaints = browse(file)
    assert complaints == []
    assert 'data-drawn="4"' in document
    assert document.count('class="main-svg"') >= 4


def test_hostile_names_in_a_browser(tmp_path, browse):
    verdict, recordings = verdicts.hostile()
    for order, width in ((recordings, 1280), ([recordings[0]], 360)):
        file, _ = _page(tmp_path, verdict, order)
        document, complaints = browse(file, width)
        assert complaints == []
        assert 'data-spills="no"' in document  # a phone need not scroll sideways
        assert 'data-drawn="4"' in document
        assert "<title>FAIL" in document
        after = document.partition("<body>")[2]
        assert not re.search(r"<(img|a)\b", re.sub(r"<script.*?</script>", "", after, flags=re.S))


def test_nothing_leaves_the_page(tmp_path, browse):
    """Even where markup got into it: its policy lets nothing be fetched. Without the policy it would be."""
    asked = []

    class Canary(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Canary)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    where = f"http://127.0.0.1:{server.server_port}"
    file, _ = _page(tmp_path, *verdicts.comparison())
    markup = f"<body><img src='{where}/image'><script>fetch('{where}/script')</script><link rel=stylesheet href='{where}/style'>"
    with_policy = file.read_text(encoding="utf-8").replace("<body>", markup, 1)
    file.write_text(with_policy, encoding="utf-8")
    _, complaints = browse(file)
    assert asked == []
    assert len(complaints) == 3
    file.write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", with_policy), encoding="utf-8")
    browse(file)
    server.shutdown()
    server.server_close()
    assert sorted(asked) == ["/image", "/script", "/style"]


def test_the_policy_knows_its_scripts(tmp_path):
    file, seen = _page(tmp_path, *verdicts.hostile())
    policy = next(given["content"] for tag, given in seen.tags if given.get("http-equiv") == "Content-Security-Policy")
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    data, *scripts = re.findall(r"<script[^>]*>(.*?)</script>", file.read_text(encoding="utf-8"), flags=re.S)
    assert {base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts} == allowed
    assert len(scripts) == 2
    json.loads(data)
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy


def test_hostile_names_are_text(tmp_path):
    _, seen = _page(tmp_path, *verdicts.hostile())
    tags = {tag for tag, _ in seen.tags}
    assert not tags & {"img", "a", "iframe", "link", "object", "form"}
    assert not any({"src", "href", "onerror", "style"} & set(given) for _, given in seen.tags)
    shown = verdicts.HOSTILE.replace("\x1b", "?").replace("\u202e", "?")
    assert seen.text.count(shown) >= 10
    drawn = html_report_data.drawn(*verdicts.hostile())
    names = json.dumps([drawn["recordings"], drawn["intervals"]])
    assert "<" not in names


def test_what_is_drawn_is_what_was_measured():
    verdict, recordings = verdicts.comparison()
    drawn = html_report_data.drawn(verdict, recordings)
    for shown, series in zip(drawn["recordings"], recordings):
        assert shown["arm"] == series.name.split("-")[0]
        assert shown["begin"] == series.samples["time"][0]
        assert np.allclose(shown["columns"]["vmas_anon"], series.samples["vmas_anon"], rtol=1e-5)
        assert np.allclose(shown["columns"]["anon_vma"], series.barriers["anon_vma"], rtol=1e-5)
        rates = np.diff(series.samples["forks"]) / np.diff(series.samples["time"])
        assert shown["columns"]["forks"][0] is None
        assert np.allclose(shown["columns"]["forks"][1:], rates, rtol=1e-5)
        assert {line for times in shown["times"].values() for line in times if line < 0} == set()
    bounds, above = html_report_data._above(recordings[0].distributions["fork_seconds"])
    counts = recordings[0].distributions["fork_seconds"].counts
    for bound, share in zip(bounds, above):
        slot = round(math.log2(bound * 1e9))
        assert share == pytest.approx(counts[slot + 1 :].sum() / counts.sum(), rel=1e-5)


def test_intervals_beside_their_limits():
    verdict, recordings = verdicts.comparison()
    cost, benefit = html_report_data.drawn(verdict, recordings)["intervals"]
    assert [row["name"] for row in cost["rows"]] == ["fork time", "prepare time", "walk time"]
    assert [row["outcome"] for row in cost["rows"]] == ["FAIL", "PASS", "INCONCLUSIVE"]
    first, _, unbounded = cost["rows"]
    assert [first[key] for key in ("low", "estimate", "high", "limit")] == pytest.approx([7, 11, 13, 5])
    assert (unbounded["low"], unbounded["high"]) == (None, None)
    assert benefit["rows"][0]["estimate"] == pytest.approx(-76_700 / 1024)


def test_of_many_intervals_those_that_matter():
    verdict, recordings = verdicts.comparison()
    passed = next(one for one in verdict.findings if one.name == "prepare time")
    verdict.findings[:0] = [passed] * 101
    cost = html_report_data.drawn(verdict, recordings)["intervals"][0]
    assert len(cost["rows"]) == html_report_data.MOST_INTERVALS
    assert [row["outcome"] for row in cost["rows"][:3]] == ["FAIL", "INCONCLUSIVE", "PASS"]
    assert "60 of 104" in cost["about"]


def test_a_hundred_recordings_fit(monkeypatch):
    """Points are thinned, both ends kept, and rates go over what was left out."""
    monkeypatch.setattr(html_report_data, "MOST_NUMBERS", 30_011)
    monkeypatch.setattr(html_report_data, "LEAST_POINTS", 11)
    recordings = verdicts.recordings(23)
    verdict, _ = verdicts.comparison()
    drawn = html_report_data.drawn(verdict, recordings)
    numbers = sum(len(column) for shown in drawn["recordings"] for column in shown["columns"].values())
    assert numbers <= 30_011
    shown, series = drawn["recordings"][0], recordings[0]
    times, forks = shown["times"]["samples"], shown["columns"]["forks"]
    assert [times[0], times[-1]] == [0, round(series.samples["time"][-1] - series.samples["time"][0], 3)]
    grown = sum(rate * (after - before) for rate, before, after in zip(forks[1:], times, times[1:]))
    assert grown == pytest.approx(series.samples["forks"][-1] - series.samples["forks"][0], rel=1e-4)


def test_no_plotly(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(NotSupported, match="--html: needs plotly; pip install plotly"):
        html_report.write(*verdicts.comparison(), str(tmp_path / "page.html"))
    assert list(tmp_path.iterdir()) == []
