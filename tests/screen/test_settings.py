# SPDX-License-Identifier: MIT
"""What the settings hold, owner they are, and which process writes them."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from lazyobs.screen import settings
from lazyobs.screen.settings import Person, Settings, SettingsWriter, person

NOBODY = pwd.getpwnam("nobody")


def test_settings_survive_their_file():
    changed = Settings(["pid", "comm"], ["pid", "forks", "comm"], "vmas", "forks", True, "cgroup", 0.25, "16")
    assert Settings.from_toml(changed.to_toml()) == changed
    assert Settings.from_toml(Settings().to_toml()) == Settings()
    assert Settings.from_toml("") == Settings()


@pytest.mark.parametrize(
    "line",
    [
        'sort = "weight"', "sort = 5", "columns = []", 'columns = ["pid", "weight"]', "columns = [5]", "delay = 0.001",
        "delay = true", "delay = nan", 'group = "heap"', 'colours = "red"', 'reverse = "yes"', "unheard_of = 1",
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_as_if_it_was_not_there(line):
    assert Settings.from_toml(line + '\nfork_sort = "forks"\n') == replace(Settings(), fork_sort="forks")


def test_a_file_that_is_no_toml_is_an_error():
    with pytest.raises(ValueError):
        Settings.from_toml("columns = [")


def test_under_sudo_it_is_the_user_behind_it():
    environment = {"SUDO_UID": str(NOBODY.pw_uid), "XDG_CONFIG_HOME": "/root/elsewhere", "HOME": "/root"}
    owner = person(environment, 0)
    assert (owner.uid, owner.gid, owner.home, owner.xdg) == (NOBODY.pw_uid, NOBODY.pw_gid, NOBODY.pw_dir, None)


def test_without_sudo_it_is_the_user_with_their_own_place():
    owner = person({"XDG_CONFIG_HOME": "/x", "SUDO_UID": "1"}, NOBODY.pw_uid)
    assert (owner.uid, str(owner.path)) == (NOBODY.pw_uid, "/x/lazyobs/top.toml")
    assert str(replace(owner, xdg="relative").path) == f"{NOBODY.pw_dir}/.config/lazyobs/top.toml"
    assert person({}, 4_000_000_000) is None


@pytest.fixture
def home(root, tmp_path):
    """A home directory of the user nobody; only root can become nobody."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if not parent.stat().st_mode & stat.S_IXOTH:
            parent.chmod(parent.stat().st_mode | stat.S_IXOTH)
    found = tmp_path / "home"
    found.mkdir()
    os.chown(found, NOBODY.pw_uid, NOBODY.pw_gid)
    return found


def settings_writer(home: Path) -> SettingsWriter:
    return SettingsWriter(Person(NOBODY.pw_uid, NOBODY.pw_gid, str(home), "nobody", None))


def test_the_settings_writer_runs_as_the_owner(home):
    first = settings_writer(home)
    status = Path(f"/proc/{first._pid}/status").read_text()
    assert [line.split()[1:] for line in status.splitlines() if line.startswith(("Uid", "CapEff", "NoNewPrivs"))] == [
        [str(NOBODY.pw_uid)] * 4, ["0000000000000000"], ["1"],
    ]  # fmt: skip
    assert first.text is None
    assert first.write(Settings(delay=7.0).to_toml())
    first.close()
    path = home / ".config/lazyobs/top.toml"
    assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (NOBODY.pw_uid, 0o600)
    assert [one.name for one in path.parent.iterdir()] == ["top.toml"]
    second = settings_writer(home)
    second.close()
    assert Settings.from_toml(second.text).delay == 7.0


def test_a_link_to_a_file_of_root_is_not_followed_with_roots_rights(home, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("secret")
    victim.chmod(0o600)
    place = home / ".config/lazyobs"
    place.mkdir(parents=True)
    (place / "top.toml").symlink_to(victim)
    for one in (home / ".config", place):
        os.chown(one, NOBODY.pw_uid, NOBODY.pw_gid)
    writer = settings_writer(home)
    assert writer.text is None
    assert writer.write("reverse = true\n")
    writer.close()
    assert victim.read_text() == "secret"
    assert not (place / "top.toml").is_symlink()


def test_a_directory_of_root_in_the_users_home_is_left_alone(home):
    place = home / ".config"
    place.mkdir(mode=0o755)
    writer = settings_writer(home)
    assert not writer.write("reverse = true\n")
    writer.close()
    assert list(place.iterdir()) == []


def test_root_does_not_write_into_a_users_home_that_its_environment_names(home):
    writer = SettingsWriter(Person(0, 0, "/root", "root", str(home)))
    assert not writer.write("reverse = true\n")
    writer.close()
    assert list(home.iterdir()) == []


def test_a_home_that_is_not_there_is_not_made(home):
    writer = settings_writer(home / "gone")
    assert not (home / "gone").exists()
    writer.close()


def test_a_huge_file_is_read_to_its_limit(home):
    place = home / ".config/lazyobs"
    place.mkdir(parents=True)
    (place / "top.toml").write_text("#" * (3 * settings.MOST_BYTES))
    writer = settings_writer(home)
    writer.close()
    assert writer.text is None or len(writer.text) == settings.MOST_BYTES
