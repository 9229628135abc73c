# SPDX-License-Identifier: MIT
"""Names of cgroups, from the paths that systemd and the engines make."""

from __future__ import annotations

import time

import pytest

from lazyobs.sources.units import unit

ID = "04072a4609f9736edaa692c9ec17649104072a4609f9736edaa692c9ec176491"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "/"),
        ("/system.slice/nginx.service", "nginx.service"),
        ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/app-x\\x2dterm.scope", "app-x-term.scope"),
        (f"/system.slice/docker-{ID}.scope", "docker 04072a4609f9"),
        (f"/docker/{ID}", "docker 04072a4609f9"),
        (f"/machine.slice/libpod-{ID}.scope/container", "podman 04072a4609f9"),
        (f"/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-{ID}.scope", "containerd 04072a4609f9"),
        (f"/kubepods/besteffort/pod01-23/{ID}", "pod 04072a4609f9"),
        ("/lxc.payload.web1/init.scope", "machine web1"),
        ("/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", "machine qemu-1-vm"),
        ("/process_api/04072a46", "/process_api/04072a46"),
    ],
)
def test_a_path_has_the_name_that_a_person_knows(path, name):
    assert unit(path) == name


@pytest.mark.parametrize("path", ["/" * 4096, "/docker" * 580, "/kubepods/" + "a" * 4000, "/machine-" * 450])
def test_a_long_path_takes_no_time(path):
    begun = time.process_time()
    unit(path)
    assert time.process_time() - begun < 0.5
