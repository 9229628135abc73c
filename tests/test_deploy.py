# SPDX-License-Identifier: MIT
"""The container, the DaemonSet and the role: what they grant is what docs/containers.md and the unit say, and no more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lazyobs.exporter.settings import Settings
from lazyobs.unix.capabilities import CAPABILITIES
from tests.harness import ROOT, need_module

DEPLOY = ROOT / "deploy"
ROLE = DEPLOY / "ansible/roles/lazyobs"
PAGES = sorted([*DEPLOY.rglob("*.y*ml"), *(ROOT / "dashboards/prometheus").glob("*.yml")])
# As root in a container: the probes, and giving root up.
NEEDED = {one.name.removeprefix("CAP_") for one in CAPABILITIES if one.needed} | {"SETUID", "SETGID", "SETPCAP"}


def documents(path: Path) -> list[Any]:
    yaml = need_module("yaml", "web", "pip install 'lazyobs[web]'")
    return list(yaml.safe_load_all(path.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_it_is_yaml(page: Path) -> None:
    assert all(document is not None for document in documents(page))


def daemonset() -> dict[str, Any]:
    (found,) = (one for one in documents(DEPLOY / "kubernetes/daemonset.yaml") if one["kind"] == "DaemonSet")
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


def test_the_pod_has_the_least_rights() -> None:
    spec = daemonset()
    (container,) = spec["containers"]
    assert set(spec) & {"hostNetwork", "hostIPC", "volumes"} == set()
    assert (spec["hostPID"], spec["automountServiceAccountToken"]) == (True, False)
    context = container["securityContext"]
    assert set(context["capabilities"]["add"]) == NEEDED
    assert context["capabilities"]["drop"] == ["ALL"]
    assert (context["privileged"], context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, False, True)  # fmt: skip
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}


def test_probes_and_ports_are_the_exporters() -> None:
    (container,) = daemonset()["containers"]
    assert container["args"] == ["export", "--listen", ":9797"]
    assert [port["containerPort"] for port in container["ports"]] == [9797]
    source = (ROOT / "lazyobs/exporter/application.py").read_text()
    for probe in ("readinessProbe", "livenessProbe"):
        assert f'"{container[probe]["httpGet"]["path"]}"' in source
        assert container[probe]["httpGet"]["port"] == container["ports"][0]["name"]


def test_everything_of_kubernetes_selects_the_same_pods() -> None:
    (found,) = (one for one in documents(DEPLOY / "kubernetes/daemonset.yaml") if one["kind"] == "DaemonSet")
    (monitor,) = documents(DEPLOY / "kubernetes/podmonitor.yaml")
    labels = {"app.kubernetes.io/name": "lazyobs"}
    assert found["spec"]["selector"]["matchLabels"] == found["spec"]["template"]["metadata"]["labels"] == labels
    assert monitor["spec"]["selector"]["matchLabels"] == labels
    assert (found["metadata"]["namespace"], monitor["metadata"]["namespace"]) == ("lazyobs", "lazyobs")


def test_kubernetes_takes_it() -> None:
    """By its own schemas, where the package that has them is installed."""
    schemas = need_module("kubernetes_validate", "programs", "pip install kubernetes-validate")
    for document in documents(DEPLOY / "kubernetes/daemonset.yaml"):
        schemas.validate(document, "1.30", strict=True)


def test_the_container_starts_the_package_with_the_least_rights() -> None:
    text = (DEPLOY / "container/Containerfile").read_text()
    assert set(re.findall(r"--cap-add=(\S+)", text)[0].split(",")) == NEEDED
    assert "--cap-drop=all" in text and "--read-only" in text and "--pid=host" in text
    instructions = [line.split()[0] for line in text.splitlines() if re.match(r"[A-Z]+ ", line)]
    assert instructions == ["FROM", "COPY", "RUN", "EXPOSE", "ENTRYPOINT", "CMD"]
    assert 'ENTRYPOINT ["/usr/bin/lazyobs"]\nCMD ["export", "--listen", ":9797"]\n' in text


def test_the_role_uses_what_it_has() -> None:
    tasks = documents(ROLE / "tasks/main.yml")[0] + documents(ROLE / "handlers/main.yml")[0]
    handlers = {one["name"] for one in documents(ROLE / "handlers/main.yml")[0]}
    assert {task["notify"] for task in tasks if "notify" in task} == handlers
    templates = {task["ansible.builtin.template"]["src"] for task in tasks if "ansible.builtin.template" in task}
    assert templates == {file.name for file in (ROLE / "templates").iterdir()}
    variables = set(documents(ROLE / "defaults/main.yml")[0])
    text = "".join(file.read_text() for file in ROLE.rglob("*") if file.is_file() and file.parent.name != "defaults")
    assert set(re.findall(r"\blazyobs_[a-z]+\b", text)) - {"lazyobs_deb"} <= variables
    assert documents(ROLE / "defaults/main.yml")[0]["lazyobs_listen"] == Settings().listen
    for task in tasks:
        for module, arguments in task.items():
            if module.startswith("ansible.builtin.") and "dest" in arguments:
                assert re.fullmatch(r"0[0-7]{3}", arguments["mode"]), task["name"]


def test_the_unit_and_the_role_mean_the_same_units() -> None:
    names = {file.name for file in (ROOT / "systemd").iterdir()}
    text = (ROLE / "handlers/main.yml").read_text() + (ROLE / "tasks/main.yml").read_text()
    assert {"lazyobs.service", "lazyobs.socket"} <= names
    assert set(re.findall(r"lazyobs\.(?:service|socket)\b", text)) == {"lazyobs.service", "lazyobs.socket"}
