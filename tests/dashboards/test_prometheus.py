# SPDX-License-Identifier: MIT
"""A real Prometheus scrapes three hosts, and answers every expression of boards, rules and alerts."""

from __future__ import annotations

import math
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dashboards.fleet import exporting
from tests.dashboards.prometheus_server import Programs, Prometheus, running
from tests.dashboards.test_boards import PROMETHEUS, expressions
from tests.exporter.host import Host
from tests.harness import ROOT

pytestmark = pytest.mark.slow

# What a board's variables stand for in the tests. The first host is "a", the second "b".
_RELEASES = {"release_a": "6.12.1-lab", "lazy_a": "on", "release_b": "6.12.1-lab", "lazy_b": "off", "release": ".+"}
# The hosts' promotions_failed and violations grow like every other counter of theirs; no other alert has a reason.
_FIRES = ("lazyobs.alerts.yml: LazyobsPromotionsFail", "lazyobs.alerts.yml: LazyobsInvariantViolated")


@pytest.fixture(scope="module")
def prometheus(programs: Programs, fleet: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Scrapes the fleet every second, with the rules and alerts as they are."""
    directory = tmp_path_factory.mktemp("prometheus")
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(PROMETHEUS / name) for name in config["rule_files"]]
    config["scrape_configs"][0]["static_configs"] = [{"targets": fleet}]
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    with running(programs, directory / "prometheus.yml", directory / "data") as server:
        for rule, series in (
            ("release_le:lazyobs_rmap_walk_seconds_bucket:rate5m", 36),
            ("instance:lazyobs_rmap_walk_seconds:p99_rate5m", 3),
            ("instance:lazyobs_misses:ratio_rate5m", 3),
        ):
            server.wait_for(f"count({rule}) == {series}")
        # Groups are evaluated side by side, so one rule's series say nothing about another's. Rules of one level
        # come before those that read them: each in turn has all its series, then the next one can have them.
        for rule, expr in _recording_rules():
            server.wait_for(f"count({rule}) == count({expr})")
        yield server


def _recording_rules() -> list[tuple[str, str]]:
    groups = yaml.safe_load((PROMETHEUS / "lazyobs.rules.yml").read_text())["groups"]
    return [(rule["record"], rule["expr"]) for group in groups for rule in group["rules"]]


def _filled_in(expr: str, instance: str) -> str:
    values = {**_RELEASES, "instance": instance, "__rate_interval": "20s"}
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], expr)


@pytest.mark.parametrize(("where", "expr"), expressions(), ids=[where for where, _ in expressions()])
def test_every_expression_is_answered(prometheus: Prometheus, fleet: list[str], where: str, expr: str) -> None:
    found = prometheus.query(_filled_in(expr, fleet[0]))
    if where.startswith("lazyobs.alerts.yml") and where not in _FIRES:
        assert found == [], "an alert fires while all is well"
        return
    assert found, "no series"
    for series in found:
        value = float(series["value"][1])
        assert not math.isnan(value) and not math.isinf(value), series


def _values(prometheus: Prometheus, expr: str, label: str) -> dict[str, float]:
    return {series["metric"][label]: float(series["value"][1]) for series in prometheus.query(expr)}


def test_rules_give_the_series_they_should(prometheus: Prometheus) -> None:
    assert _values(prometheus, 'release:lazyobs_hosts:count{release="6.12.1-lab"}', "lazy") == {"on": 1, "off": 1}
    assert _values(prometheus, "release:lazyobs_saved_bytes:sum", "lazy") == dict.fromkeys(
        ("on", "off", "none"), 211 * 168
    )
    reasons = _values(prometheus, 'release_reason:lazyobs_promotions:rate5m{lazy="on"}', "reason")
    assert len(reasons) == 8 and len(set(reasons.values())) == 1
    assert len(prometheus.query("instance_cache:lazyobs_slab_active_bytes:product")) == 9


def test_a_host_has_the_series_it_is_documented_to_have(prometheus: Prometheus, fleet: list[str]) -> None:
    for address in fleet:
        scraped = _values(prometheus, f'scrape_samples_scraped{{instance="{address}"}}', "instance")[address]
        assert 200 < scraped <= 510


def test_variables_of_the_boards_have_values(prometheus: Prometheus) -> None:
    assert set(prometheus.api("label/release/values")) == {"6.12.1-lab", "6.12.1-mainline"}


def test_all_targets_and_rules_are_healthy(prometheus: Prometheus) -> None:
    assert {target["health"] for target in prometheus.api("targets")["activeTargets"]} == {"up"}
    rules = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    assert [rule["lastError"] for rule in rules if rule.get("lastError")] == []


def test_metadata_says_the_right_types(prometheus: Prometheus) -> None:
    types: dict[str, Any] = {name: entries[0]["type"] for name, entries in prometheus.api("metadata").items()}
    # Under the family's name where the page was OpenMetrics, which Prometheus asks for first.
    assert (types.get("lazyobs_prepares") or types["lazyobs_prepares_total"]) == "counter"
    assert types["lazyobs_rmap_walk_seconds"] == "histogram"
    assert types["lazyobs_vmas"] == "gauge"


@pytest.mark.parametrize("file", ["lazyobs.rules.yml", "lazyobs.alerts.yml"])
def test_promtool_checks_rules(programs: Programs, file: str) -> None:
    _promtool(programs, "check", "rules", "--lint-fatal", file)


def test_promtool_checks_configurations(programs: Programs) -> None:
    _promtool(programs, "check", "config", "prometheus.yml")
    _promtool(programs, "check", "config", "discovery.yml")
    _promtool(programs, "check", "config", "--agent", "agent.yml")


def test_promtool_checks_the_configuration_for_kubernetes(programs: Programs, tmp_path: Path) -> None:
    """All but the discovery itself, which Debian's Prometheus is built without: another's takes its place."""
    found = yaml.safe_load((PROMETHEUS / "kubernetes.yml").read_text())
    (job,) = found["scrape_configs"]
    manifest = (ROOT / "deploy/kubernetes/daemonset.yaml").read_text()
    (discovery,) = job.pop("kubernetes_sd_configs")
    assert discovery == {"role": "pod", "namespaces": {"names": ["lazyobs"]}}
    assert "namespace: lazyobs\n" in manifest
    job["file_sd_configs"] = [{"files": ["targets.json"]}]
    found["rule_files"] = [str(PROMETHEUS / name) for name in found["rule_files"]]
    (tmp_path / "kubernetes.yml").write_text(yaml.safe_dump(found))
    _promtool(programs, "check", "config", str(tmp_path / "kubernetes.yml"))


def test_the_collector_scrapes_as_an_agent_does(programs: Programs, tmp_path: Path) -> None:
    """Its receiver takes a configuration of Prometheus, which promtool checks; the collector itself is not here."""
    collector = yaml.safe_load((PROMETHEUS / "otel-collector.yml").read_text())
    scraping = collector["receivers"]["prometheus"]["config"]
    (tmp_path / "scraping.yml").write_text(yaml.safe_dump(scraping))
    _promtool(programs, "check", "config", str(tmp_path / "scraping.yml"))
    agent = yaml.safe_load((PROMETHEUS / "agent.yml").read_text())
    (job,) = scraping["scrape_configs"]
    assert agent["scrape_configs"] == [{name: value for name, value in job.items() if name != "scrape_interval"}]
    assert agent["global"]["scrape_interval"] == job["scrape_interval"]
    for pipeline in collector["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            assert set(names) == set(collector[kind]), (
                "what is not in a pipeline is not used, and what is has to be there"
            )


def test_promtool_unit_tests(programs: Programs) -> None:
    _promtool(programs, "test", "rules", "lazyobs.tests.yml")


def test_promtool_checks_metrics(programs: Programs, fleet: list[str]) -> None:
    import urllib.request

    for address in fleet:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as response:
            page = response.read()
        checked = subprocess.run([programs.promtool, "check", "metrics"], input=page, capture_output=True)
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def _promtool(programs: Programs, *arguments: str) -> None:
    result = subprocess.run([programs.promtool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_restart_is_seen_as_a_reset(programs: Programs, tmp_path: Path) -> None:
    """rate() and increase() must not see the counts lost with a restart as negative, nor as a jump."""
    host = Host(real_time=True)
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "lazyobs", "static_configs": [{"targets": []}]}],
    }
    with exporting(host, steady=False) as addresses:
        config["scrape_configs"][0]["static_configs"][0]["targets"] = addresses  # type: ignore[index]
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
        with running(programs, tmp_path / "prometheus.yml", tmp_path / "data") as server:
            server.wait_for("lazyobs_forks_total > 100")
            host._began = time.monotonic()  # the counters start anew
            assert server.wait_for("resets(lazyobs_forks_total[5m]) > 0")[0]["value"][1] == "1"
            assert float(server.query("increase(lazyobs_forks_total[5m])")[0]["value"][1]) > 0


def test_agents_write_to_a_receiver(programs: Programs, fleet: list[str], tmp_path: Path) -> None:
    """agent.yml as it is, but for addresses and intervals: what one agent scrapes arrives elsewhere."""
    (tmp_path / "receiver.yml").write_text("global: {}\n")
    with running(
        programs, tmp_path / "receiver.yml", tmp_path / "receiver", "--web.enable-remote-write-receiver"
    ) as receiver:
        config = yaml.safe_load((PROMETHEUS / "agent.yml").read_text())
        config["global"]["scrape_interval"] = "1s"
        config["scrape_configs"][0]["static_configs"] = [{"targets": fleet}]
        config["remote_write"][0]["url"] = f"{receiver.url}/api/v1/write"
        config["remote_write"][0]["queue_config"]["batch_send_deadline"] = "1s"
        (tmp_path / "agent.yml").write_text(yaml.safe_dump(config))
        with running(programs, tmp_path / "agent.yml", tmp_path / "agent", agent=True):
            received = receiver.wait_for("lazyobs_kernel_info and on (instance) rate(lazyobs_prepares_total[1m]) > 0")
            assert {series["metric"]["cluster"] for series in received} == {"test"}
            counted = receiver.wait_for('count by (instance) ({job="lazyobs"}) > 200')
            assert {series["metric"]["instance"] for series in counted} == set(fleet)
