# SPDX-License-Identifier: MIT
"""What is kept of the kernel's command line."""

from __future__ import annotations

import hashlib

import pytest

from lazyobs.kernel.command_line import digest, kept, without_secrets

SECRET = "ip=192.0.2.7::192.0.2.1 nfsroot=files:/x user_passwd=tr0ub4dor rd.luks.uuid=luks-1 console=ttyS0"


@pytest.mark.parametrize(
    ("cmdline", "options"),
    [
        ("", ""),
        (SECRET, ""),
        (f"slab_nomerge {SECRET} transparent_hugepage=never", "slab_nomerge transparent_hugepage=never"),
        ("slub-debug=FZ,anon_vma isolcpus=managed_irq,2-5", "slub-debug=FZ,anon_vma isolcpus=managed_irq,2-5"),
        ('dyndbg="file a.c slab_nomerge" mitigations=off', "mitigations=off"),
        ('"lsm=lockdown,yama" quiet', '"lsm=lockdown,yama"'),
        ("quiet -- slab_nomerge", ""),
        ("slab_nomergex xslab_nomerge my.slab_nomerge=1", ""),
        ("numa_balancing=disable numa_balancing=enable", "numa_balancing=disable numa_balancing=enable"),
        ('x="never closed slab_nomerge', ""),
    ],
)
def test_what_is_kept(cmdline: str, options: str) -> None:
    assert kept(cmdline) == options
    assert kept(options) == options


def test_the_hash_is_of_everything() -> None:
    assert digest("b  a=1 quiet") == hashlib.sha256(b"b a=1 quiet").hexdigest()
    assert digest(f"quiet {SECRET}") != digest("quiet")


def test_the_hash_does_not_know_the_kernels_files() -> None:
    one, other = (f"BOOT_IMAGE=/boot/vmlinuz-{version} initrd=initrd-{version} ro quiet" for version in ("a", "b"))
    assert digest(one) == digest(other) == digest("ro quiet")


def test_a_recording_of_the_first_version() -> None:
    old = {"release": "6.1", "cmdline": f"slab_nomerge {SECRET}"}
    found = without_secrets(old)
    assert found == {"release": "6.1", "cmdline": "slab_nomerge", "cmdline_sha256": digest(f"slab_nomerge {SECRET}")}
    assert without_secrets(found) == found
    assert old["cmdline"].endswith("ttyS0")


@pytest.mark.parametrize("identity", [{}, {"cmdline": None}, {"cmdline": 7}])
def test_a_recording_without_one(identity: dict[str, object]) -> None:
    assert without_secrets(identity) == identity
