# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path

import pytest

from lazyobs.errors import UsageError
from lazyobs.exporter.settings import Settings, load
from tests.harness import ROOT


def test_the_command_line_is_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "lazyobs.toml"
    file.write_text('[export]\nlisten = "127.0.0.1:1"\ncgroup_top = 3\nseconds = 5\n')
    settings = load(file, {"listen": "127.0.0.1:2", "cgroup_top": None})
    assert (settings.listen, settings.cgroup_top, settings.seconds) == ("127.0.0.1:2", 3, 5)


def test_the_shipped_file_says_the_defaults() -> None:
    text = (ROOT / "systemd/lazyobs.toml").read_text()
    assert load(ROOT / "systemd/lazyobs.toml", {}) == Settings()
    for name in Settings.__dataclass_fields__:
        assert f"\n{name} = " in text or f"\n# {name} = " in text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[exporter]\n", "unknown table 'exporter'"),
        ("[export]\nport = 1\n", "unknown key 'port'"),
        ("[export]\ncgroup_top = true\n", "is not a whole number"),
        ('[export]\ncgroup_top = "3"\n', "is not a whole number"),
        ("[export]\ncgroup_top = 51\n", "from 0 to 50"),
        ("[export]\nseconds = 0\n", "from 0.1 to 300"),
        ('[export]\ntier = "best"\n', "tier = 'best'; use one of fentry, kprobe, tracepoint, procfs"),
        ("[export\n", "is not TOML"),
        ("export = 3\n", "is not a table"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "lazyobs.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=why):
        load(file, {})


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load(tmp_path / "none.toml", {})
