# SPDX-License-Identifier: MIT
"""The command with series that cannot be judged, and with a source that builds in a second. No kernel is booted."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from lazyobs.commands.judge import judge as command
from lazyobs.errors import NotPermitted, NotSupported, UsageError
from lazyobs.judge import capsule, confined, lab, resume, run, series, state
from lazyobs.judge.asked import Asked
from tests.harness import ROOT, lazyobs, need_open_checkout, need_programs, need_root, skip
from tests.judge.folders import folder as judged_folder
from tests.judge.mails import RMAP as LINES
from tests.judge.mails import diff, mail
from tests.judge.mails import series as of
from tests.judge.mails import tree as plain_tree
from tests.judge.trees import FILES, MAKEFILE, RMAP, kernel, open_folder, running


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    need_open_checkout()
    with open_folder() as folder:
        kernel(folder / "linux")
        plain_tree(folder / "other")
        yield folder


def judge(
    place: Path, *words: str, cache: Path | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LAZYOBS_LAB_CACHE": str(place / "lab"), "TMPDIR": str(place)}
    given = ["--cache", str(cache or place / "cache")] if "--again" not in words and "--resume" not in words else []
    return lazyobs("judge", *words, *given, env=environment, cwd=cwd or ROOT)


def to_the_card(place: Path, series: str, out: str) -> list[str]:
    """The words that build it beside the made-up kernel, and compare the two."""
    return [str(place / series), "--base", str(place / "linux"), "--flavour", "plain", "--until", "card", "-o", str(place / out)]  # fmt: skip


def asked(series: Path, **said: Any) -> Asked:
    given: dict[str, Any] = {
        "series": (str(series),), "base": None, "arms": (), "cover": None, "output": None, "cache": None, "budget": 1.0,
        "flavours": ("plain",), "options": (), "base_options": (), "until": "card", "each_patch": False, "workload": None,
    }  # fmt: skip
    return Asked(**{**given, **said})


def everything(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*")}


SYMLINK = "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n"
GOOD = diff("mm/rmap.c", LINES, LINES.replace("line 7\n", "seven\n"))


@pytest.mark.parametrize(
    "text, why",
    [
        (mail("[PATCH 1/1] x", diff("mm/rmap.c", "a\nb\n", "a\nc\n")), "patch 1/1 x does not apply to"),
        (mail("[PATCH 1/1] x", GOOD.replace("mm/rmap.c", "../../x")), "names a file outside of the tree: ../../x"),
        (mail("[PATCH 1/1] x", SYMLINK), "makes or changes a symbolic link"),
        ("nothing\n", "has no patch in it"),
    ],
)
def test_a_series_that_cannot_be_taken_leaves_nothing(place: Path, text: str, why: str) -> None:
    (place / "bad.mbox").write_text(text)
    before = everything(place)
    with pytest.raises(UsageError) as raised:
        run.run(asked(place / "bad.mbox", base=str(place / "other"), output=place / "never"))
    assert why in str(raised.value) and raised.value.exit_code == 2
    assert everything(place) == before


def test_what_is_missing_is_said_before_a_source_is_fetched(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "good.mbox").write_text(mail("[PATCH 1/1] x", GOOD))
    fetched = []
    monkeypatch.setattr(lab.packages, "missing", lambda _tools: ["flex", "xz-utils"])
    monkeypatch.setattr(lab.source, "unpack", lambda *of: fetched.append(of))
    for base in (None, "linux-source-7.3"):
        with pytest.raises(
            NotSupported, match=r"^judge: needs flex, xz-utils to build and boot; apt-get install flex xz-utils$"
        ):
            run.run(asked(place / "good.mbox", base=base))
    assert fetched == []


def test_no_source_at_hand_says_why(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To take a series is possible without a compiler, but not without what unpacks the source."""
    (place / "good.mbox").write_text(mail("[PATCH 1/1] x", GOOD))
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(place / "none"))
    monkeypatch.chdir(place)
    monkeypatch.setattr(lab.apt, "of", lambda *_of: SimpleNamespace(update=lambda: None))
    monkeypatch.setattr(lab.packages, "find", lambda packages, *_of: (packages[0], "1"))
    monkeypatch.setattr(lab.packages, "missing", lambda _tools: ["xz-utils"])
    with pytest.raises(UsageError) as raised:
        run.run(asked(place / "good.mbox", until="take"))
    assert "no source is at hand (linux-source-" in str(raised.value)
    assert "to be unpacked it needs xz-utils: apt-get install xz-utils)" in str(raised.value)
    assert "fetching" not in capsys.readouterr().err

    def unpack(*_of: str) -> None:
        raise lab.errors.LabError("cannot unpack x: y")

    monkeypatch.setattr(lab.packages, "missing", lambda _tools: [])
    monkeypatch.setattr(lab.source, "unpack", unpack)
    with pytest.raises(UsageError, match=r"no source is at hand \(linux-source-[\d.]+: cannot unpack x: y\)"):
        run.run(asked(place / "good.mbox", until="take"))
    assert "judge: fetching linux-source-" in capsys.readouterr().err


def test_two_hundred_patches_with_windows_line_ends_are_taken(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "long.mbox").write_bytes("".join(of(200)).replace("\n", "\r\n").encode())
    assert run.run(asked(place / "long.mbox", base=str(place / "other"), until="take")) == 0
    said = capsys.readouterr().err
    assert "new: 200 patches apply to" in said and "every line of it ended as on Windows" in said


@pytest.mark.parametrize(
    "words, why",
    [
        ([], "name a series"),
        (["x.mbox", "--base", "no-such-tag-here"], "cannot be read"),
        (["/dev/null", "--arm", "one"], "is no NAME=SERIES"),
        (["/dev/null", "--config", "CONFIG_X=$(reboot)"], "is no option of a kernel's configuration"),
        (["/dev/null", "--budget", "soon"], "is not a duration"),
        (["--again", "/dev", "--base", "x"], "--base has no meaning with --again"),
    ],
)
def test_wrong_usage(words: list[str], why: str) -> None:
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 2 or isinstance(done.exception, UsageError)
    assert why in done.output + str(done.exception)


def test_an_error_is_one_line(place: Path) -> None:
    (place / "bad.mbox").write_text(mail("[PATCH 1/1] x", SYMLINK))
    done = judge(place, str(place / "bad.mbox"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("lazyobs: patch 1/1 x: makes or changes a symbolic link; ")


def test_a_source_is_built_beside_its_base(place: Path) -> None:
    """And a makefile that the patch brings cannot write elsewhere, nor leave a process behind."""
    need_programs("make", "gcc", "ccache", "qemu-system-x86_64", feature="lab")
    evil = MAKEFILE.replace(
        "bzImage:\n", f"bzImage:\n\t-touch {place}/outside /tmp/judge-escaped\n\t(setsid sleep 997 &)\n"
    )
    new = RMAP + "\nint promote(void)\n{\n\treturn 1;\n}\n"
    option = FILES["mm/Kconfig"].replace("endmenu", 'config LAZY\n\tbool "Lazy"\n\nendmenu')
    patch = mail("[PATCH 1/1] x", diff("mm/rmap.c", RMAP, new), diff("Makefile", MAKEFILE, evil), diff("mm/Kconfig", FILES["mm/Kconfig"], option))  # fmt: skip
    (place / "good.mbox").write_text(patch)
    os.chmod(place, 0o777)
    done = judge(place, *to_the_card(place, "good.mbox", "out"))
    assert done.returncode == 0, done.stderr
    out = json.loads((place / "out/verdict.json").read_text())
    assert out["word"] == "INCONCLUSIVE" and {name: row["why"] for name, row in out["builds"].items()} == {
        "base-plain": "",
        "new-plain": "",
    }
    (arm,) = out["arms"]
    assert arm["series"]["options"] == ["CONFIG_LAZY=y"] and (arm["series"]["added"], arm["series"]["files"]) == (10, 3)
    assert arm["card"]["functions"]["new_inlined"] == ["promote"], "the made-up image has no symbol of it"
    assert "the types of an image cannot be read" in arm["card"]["why_not"]
    image = place / "cache/images" / out["builds"]["new-plain"]["image"]
    assert (image / "vmlinuz").read_text() == new and "CONFIG_LAZY=y" in (image / "config").read_text()
    assert (place / "linux/mm/rmap.c").read_text() == RMAP and not (place / "outside").exists()
    assert not Path("/tmp/judge-escaped").exists()
    assert running("sleep", "997") == []
    before = (place / "out/letter.txt").read_bytes()
    again = judge(place, "--resume", str(place / "out"))
    assert again.returncode == 0 and (place / "out/letter.txt").read_bytes() == before, again.stderr


def test_options_of_the_base(place: Path) -> None:
    """A patch to what is off otherwise is compared with the same thing switched on."""
    need_programs("make", "gcc", "ccache", "qemu-system-x86_64", feature="lab")
    (place / "small.mbox").write_text(
        mail("[PATCH 1/1] x", diff("mm/rmap.c", RMAP, RMAP.replace("return 0", "return 1")))
    )
    out = place / "options"
    words = to_the_card(place, "small.mbox", "options")
    given = ["--base-config", "CONFIG_OFF=y", "--base-config", "CONFIG_MORE=y", "--config", "CONFIG_MORE=n"]
    done = judge(place, *words, *given)
    assert done.returncode == 0, done.stderr
    verdict = json.loads((out / "verdict.json").read_text())
    asked_for = {
        name: [line for line in (place / "cache/images" / row["image"] / "config").read_text().splitlines() if "OFF" in line or "MORE" in line]
        for name, row in verdict["builds"].items()
    }  # fmt: skip
    assert asked_for == {
        "base-plain": ["CONFIG_OFF=y", "CONFIG_MORE=y"],
        "new-plain": ["CONFIG_OFF=y", "CONFIG_MORE=n"],
    }
    assert verdict["base"]["options"] == ["CONFIG_OFF=y", "CONFIG_MORE=y"]
    assert "; with CONFIG_OFF=y, CONFIG_MORE=y" in " ".join((out / "letter.txt").read_text().split())
    assert judge(place, "--resume", str(out)).returncode == 0
    other = judge(place, *words, "--base-config", "CONFIG_OFF=y")
    assert other.returncode == 2 and "has another judgement" in other.stderr
    (place / "built").mkdir()
    (place / "built/vmlinuz").touch()
    built = ["--arm", f"x={place / 'built'}", "--base", str(place / "built"), "-o", str(place / "never")]
    refused = judge(place, *built, "--base-config", "CONFIG_OFF=y")
    assert refused.returncode == 2 and "is built already" in refused.stderr and not (place / "never").exists()


def test_names_are_as_they_were_given(place: Path) -> None:
    """A judgement goes on from another folder, too."""
    need_programs("make", "gcc", "ccache", "qemu-system-x86_64", feature="lab")
    (place / "near.mbox").write_text(
        mail("[PATCH 1/1] x", diff("mm/rmap.c", RMAP, RMAP.replace("return 0", "return 6")))
    )
    done = judge(
        place, "near.mbox", "--base", "linux", "--flavour", "plain", "--until", "card", "-o", "near", cwd=place
    )
    assert done.returncode == 0, done.stderr
    again = judge(place, "--resume", str(place / "near"), cwd=Path("/"))
    assert again.returncode == 0, again.stderr


def test_a_built_arm_has_no_options(place: Path) -> None:
    (place / "made").mkdir(exist_ok=True)
    (place / "made/vmlinuz").touch()
    done = judge(place, "--arm", f"x={place / 'made'}", "--base", str(place / "linux"), "--base-config", "CONFIG_OFF=y", "-o", str(place / "never"))  # fmt: skip
    assert done.returncode == 2 and "an arm is built already" in done.stderr and not (place / "never").exists()


def test_root_goes_on_with_nothing_that_the_builder_has_written(place: Path) -> None:
    """The folder is the builder's, who builds an unknown patch; what is read before root is given up is root's own."""
    need_programs("make", "gcc", "ccache", "qemu-system-x86_64", feature="lab")
    if os.geteuid():
        skip("root", "only root becomes another user")
    (place / "own.mbox").write_text(
        mail("[PATCH 1/1] x", diff("mm/rmap.c", RMAP, RMAP.replace("return 0", "return 2")))
    )
    out, closed = place / "own", place / "closed"
    (place / "cover").write_text("Subject: what it claims\n\nIt is better.\n")
    words = [str(place / "own.mbox"), "--cover", str(place / "cover"), "--base", str(place / "linux"), "--flavour", "plain", "--until", "card"]  # fmt: skip
    done = judge(place, *words, "-o", str(out))
    assert done.returncode == 0 and judge(place, "--resume", str(out)).returncode == 0, done.stderr
    # What a hostile makefile might do: other words, a tree of root's for the series, a secret for the cover.
    plain_tree(closed / "linux", {**FILES, "secret": "of root"})
    closed.chmod(0o700)
    settings = json.loads((out / "judge.json").read_text())
    settings["run"]["again"] = settings["run"]["again"].replace(f"{place}/cache", f"{place}/elsewhere")
    (out / "judge.json").write_text(json.dumps(settings))
    for name in ("series/new", "cover-new.txt"):
        (out / name).rename(out / f"{name}.was")
    (out / "series/new").symlink_to(closed / "linux")
    (out / "cover-new.txt").symlink_to(closed / "linux/secret")
    judge(place, "--resume", str(out))
    (out / "judge.json").unlink()
    odd = judge(place, "--resume", str(out))
    assert odd.returncode == 3 and "series/new: cannot be used (Permission denied)" in odd.stderr, odd.stderr
    (out / "series/new").unlink()
    gone = judge(place, "--resume", str(out))
    assert gone.returncode == 0, gone.stderr
    assert "It is better." in (out / "cover-new.txt").read_text()
    assert not (place / "elsewhere").exists()
    assert not list((place / "cache").rglob("secret")) and "of root" not in (out / "verdict.json").read_text()
    # Root has begun nothing there.
    other = place / "copied"
    subprocess.run(["cp", "-a", str(out), str(other)], check=True)
    refused = judge(place, "--resume", str(other))
    assert refused.returncode == 3 and "in which this root has begun no judgement" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_root_says_again_with_the_rights_of_the_owner(place: Path) -> None:
    if os.geteuid():
        skip("root", "only root becomes another user")
    secret = place / "root-only"
    secret.write_text("TOPSECRET reduces the size of struct anon_vma from 104 to 96 bytes.\n")
    secret.chmod(0o600)
    found = judged_folder(place / "said")
    (found.path / "cover-new.txt").symlink_to(secret)
    for path in (found.path, *found.path.rglob("*")):
        os.lchown(path, 60917, 60917)
    done = judge(place, "--again", str(found.path))
    assert "TOPSECRET" not in done.stdout and done.stderr.count("\n") <= 1, done.stderr
    for path in found.path.rglob("*"):
        assert path.is_symlink() or not path.is_file() or b"TOPSECRET" not in path.read_bytes()


def test_root_says_nothing_of_a_folder_in_which_others_can_write(place: Path) -> None:
    """A name in another user's folder may lead to /tmp, or anywhere by the time that it is read."""
    need_root("it owns a folder")
    found = judged_folder(place / "open")
    found.path.chmod(0o1777)
    (place / "named").symlink_to(found.path)
    done = judge(place, "--again", str(place / "named"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert "belongs to root, and other users can write in it; " in done.stderr
    own, other = judged_folder(place / "mine"), judged_folder(place / "not-mine")
    held = confined.become_owner(own.path)
    own.path.rename(place / "mine.was")
    (other.path / "builds.json").write_text("{}")
    own.path.symlink_to(other.path)
    assert state.Folder(held).builds() and state.Folder(own.path).builds() == {}


def test_root_repeats_nothing_that_it_has_not_begun(place: Path) -> None:
    """The folder says where the cache is, in which the builder may write, and a link in it may lead to a device."""
    need_root("only root becomes another user")
    found = judged_folder(place / "hostile")
    settings = found.settings()
    found.write("judge.json", {**settings, "cache": "/"})
    done = judge(place, "--resume", str(found.path), "--repeat", "new-plain-boot")
    assert done.returncode == 3 and "in which this root has begun no judgement" in done.stderr
    assert done.stderr.count("\n") == 1


def test_another_user_goes_on_with_what_he_asked(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a makefile of the patch cannot write: the words say in which folders the next one may."""
    who = confined.Builder(os.geteuid(), os.getegid(), "this user", changes=False)
    monkeypatch.setattr(confined, "builder", lambda: who)
    monkeypatch.setenv("XDG_STATE_HOME", str(place / "state"))
    found = judged_folder(place / "his")
    assert resume.resumed(found.path)[0] == ["a series.mbox", "--base", "linux-source-7.3"], "nothing was kept"
    given = series.read([found.path / "series/new"])
    words = ["judge", "x.mbox", "--cache", "own"]
    assert capsule.keep(found.path, words, {"new": given}, "", None) == ""
    settings = found.settings()
    settings["run"]["again"] = "lazyobs judge x.mbox --cache /"
    found.write("judge.json", settings)
    said, instead = resume.resumed(found.path)
    assert said == words[1:] and str(instead["series"][0]).startswith(str(place / "state"))


def test_who_has_no_home_keeps_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor makes a folder whose name is a tilde."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.chdir(place)
    why = capsule.keep(place, ["judge"], {}, "", None)
    assert why == "HOME is not set, and this user has no home folder"
    assert not capsule.is_there(place) and not (place / "~").exists()
    with pytest.raises(NotPermitted, match=r"^HOME: is not set, and this user has no home folder; set it, or give the"):
        capsule.of(place)


@pytest.mark.parametrize(
    "damaged", ["{}", '{"format":1}', '{"format":1,"run":{},"base":{},"arms":{}}', '{"format":1,"arms":[1]}']
)
def test_a_damaged_folder(place: Path, damaged: str) -> None:
    (place / "damaged").mkdir(exist_ok=True)
    (place / "damaged/judge.json").write_text(damaged)
    # Root does not look into it for --resume: it has begun no judgement there.
    for option, status in (("--resume", 2 if os.geteuid() else 3), ("--again", 2)):
        done = judge(place, option, str(place / "damaged"))
        assert done.returncode == status and done.stderr.count("\n") == 1, done.stderr


def test_an_option_that_the_base_does_not_take(place: Path) -> None:
    need_programs("make", "gcc", "ccache", "qemu-system-x86_64", feature="lab")
    picky = plain_tree(
        place / "picky",
        {
            **FILES,
            "Makefile": MAKEFILE.replace("@touch $(O)/.config", "touch $(O)/.config; sed -i /SYNTH/d $(O)/.config"),
        },
    )
    (place / "picky.mbox").write_text(
        mail("[PATCH 1/1] x", diff("mm/rmap.c", RMAP, RMAP.replace("return 0", "return 3")))
    )
    words = [str(place / "picky.mbox"), "--base", str(picky), "--flavour", "plain", "--until", "card"]
    done = judge(place, *words, "-o", str(place / "picked"), "--base-config", "CONFIG_SYNTH=y")
    assert done.returncode == 2 and "the base's configuration does not take it" in done.stderr


@pytest.mark.parametrize(
    "words, said",
    [
        (["--config", "CONFIG_X=\u0663"], "is no option of a kernel's configuration"),
        (["--config", f"CONFIG_{'X' * 1000}=y"], "is no option of a kernel's configuration"),
        (["--base-config", "CONFIG_X=y", "--base-config", "CONFIG_X=n"], "CONFIG_X is there twice"),
        (["--base-config", "CONFIG_9P_FS=n"], "no guest comes up without it"),
        (["--base", ""], "a name is empty"),
        (["--base", "x" * 5000], "is no folder"),
        (["--arm", f"a={'x' * 5000}"], "File name too long"),
    ],
)
def test_words_that_are_refused(place: Path, words: list[str], said: str) -> None:
    (place / "words.mbox").write_text(
        mail("[PATCH 1/1] x", diff("mm/rmap.c", RMAP, RMAP.replace("return 0", "return 4")))
    )
    base = [] if "--base" in words else ["--base", str(place / "linux")]
    done = judge(place, str(place / "words.mbox"), *base, *words, "--until", "take")
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1, done.stderr[:500]


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_a_base_with_an_odd_makefile(place: Path, kind: str) -> None:
    odd = plain_tree(place / f"odd-{kind}", FILES)
    (odd / "Makefile").unlink()
    {"link": lambda path: path.symlink_to("/etc/passwd"), "fifo": os.mkfifo, "folder": os.mkdir}[kind](odd / "Makefile")
    (place / "odd.mbox").write_text(
        mail("[PATCH 1/1] x", diff("mm/rmap.c", RMAP, RMAP.replace("return 0", "return 5")))
    )
    done = judge(place, str(place / "odd.mbox"), "--base", str(odd), "--until", "take")
    assert done.returncode == 2 and "its Makefile: " in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_series_that_does_not_build_fails(place: Path) -> None:
    need_programs("make", "gcc", "ccache", "qemu-system-x86_64", feature="lab")
    (place / "broken.mbox").write_text(
        mail("[PATCH 1/1] x", diff("mm/rmap.c", RMAP, RMAP.replace("return 0", "return zero")))
    )
    out = place / "broken"
    done = judge(place, str(place / "broken.mbox"), "--base", str(place / "linux"), "--flavour", "plain", "--until", "card", "-o", str(out))  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith(
        "lazyobs judge: FAIL\n  build, plain: does not build: mm/rmap.c:3:16: error: 'zero' undeclared"
    )


def test_a_base_that_does_not_build_is_not_the_series(place: Path) -> None:
    need_programs("make", "gcc", "ccache", "qemu-system-x86_64", feature="lab")
    base = kernel(place / "broken-linux")
    (base / "mm/rmap.c").write_text(RMAP.replace("return 0", "return zero"))
    (place / "fix.mbox").write_text(
        mail("[PATCH 1/1] x", diff("mm/rmap.c", RMAP.replace("return 0", "return zero"), RMAP))
    )
    done = judge(place, str(place / "fix.mbox"), "--base", str(base), "--flavour", "plain", "--until", "card", "-o", str(place / "out2"))  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "")
    assert "the base" in done.stderr and "does not build here: mm/rmap.c:3:16: error" in done.stderr


def test_a_full_disk_is_one_line(place: Path) -> None:
    need_programs("make", "gcc", "ccache", "qemu-system-x86_64", feature="lab")
    full = FILES["Makefile"].replace(
        "bzImage:\n", 'bzImage:\n\t@echo "ld: cannot write: No space left on device"; exit 1\n'
    )
    base = plain_tree(place / "full-linux", {**FILES, "Makefile": full})
    (place / "good2.mbox").write_text(mail("[PATCH 1/1] x", diff("mm/rmap.c", RMAP, RMAP.replace("0", "1"))))
    done = judge(place, str(place / "good2.mbox"), "--base", str(base), "--flavour", "plain", "--until", "card", "-o", str(place / "out3"))  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "")
    assert "lazyobs: judge: the disk is full:" in done.stderr


def test_a_patch_that_fills_the_disk_leaves_room(place: Path) -> None:
    """A disk of 24 MiB, and a makefile of the patch that writes 64."""
    need_programs("make", "gcc", "ccache", "qemu-system-x86_64", "unshare", "mount", feature="lab")
    need_root("it mounts a small disk")
    fills = MAKEFILE.replace("bzImage:\n", "bzImage:\n\thead -c 64M /dev/zero > $(O)/fill\n")
    (place / "fills.mbox").write_text(mail("[PATCH 1/1] x", diff("Makefile", MAKEFILE, fills)))
    disk = place / "disk"
    disk.mkdir()
    words = [str(place / "fills.mbox"), "--base", str(place / "linux"), "--flavour", "plain", "--until", "card"]
    words += ["--cache", str(disk / "cache"), "-o", str(disk / "out")]
    # Room was there when it began: the folder of sources is.
    uid = confined.builder().uid
    script = 'mount -t tmpfs -o size=24m,mode=755 none "$0" && mkdir -p "$0/cache/base" && chown -R "$1" "$0/cache" && shift && '  # fmt: skip
    script += '"$@"; status=$?; df --output=avail -B1M "$0" | tail -1; find "$0" -name fill; exit $status'
    environment = {**os.environ, "LAZYOBS_LAB_CACHE": str(place / "lab"), "PYTHONPATH": str(ROOT)}
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(disk), str(uid)]
    done = subprocess.run([*command, sys.executable, "-m", "lazyobs", "judge", *words], capture_output=True, text=True, env=environment, check=False)  # fmt: skip
    if "mount:" in done.stderr:
        skip("lab", "no disk can be mounted here")
    assert done.returncode == 3, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("judge: ")]
    assert len(lines) == 1 and lines[0].startswith("lazyobs: judge: the disk is full: 0 MiB are free in "), done.stderr
    assert int(done.stdout.split()[0]) > 16 and len(done.stdout.split()) == 1, "what the patch wrote is gone"


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_later_is_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch, error: int, tmp_path: Path
) -> None:
    def full(*_of: object) -> int:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(run.Work, "run", full)
    for name in ("make_folder", "confine"):
        monkeypatch.setattr(confined, name, lambda *_of: [])
    monkeypatch.setattr(run, "prepare", lambda *_of: None)
    monkeypatch.setattr(run, "_need_python", lambda _who: None)
    monkeypatch.setattr(run, "_need_room", lambda _cache: None)
    monkeypatch.setattr(run, "_write_down", lambda *_of: None)
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (place / "good3.mbox").write_text(mail("[PATCH 1/1] x", GOOD))
    with pytest.raises(NotSupported, match=r"^judge: the disk is full: \d+ MiB are free in .*; make room, or "):
        run.run(asked(place / "good3.mbox", base=str(place / "other"), output=tmp_path, cache=tmp_path))


def test_a_program_of_the_users_is_part_of_the_judgement(place: Path) -> None:
    need_programs("make", "gcc", "ccache", "qemu-system-x86_64", feature="lab")
    (place / "good4.mbox").write_text(mail("[PATCH 1/1] x", diff("mm/rmap.c", RMAP, RMAP.replace("0", "2"))))
    load = place / "load.sh"
    load.write_text("#!/bin/sh\nexec true\n")
    load.chmod(0o755)
    out = place / "out4"
    words = [str(place / "good4.mbox"), "--base", str(place / "linux"), "--flavour", "plain", "--until", "card", "-o", str(out)]  # fmt: skip
    done = judge(place, *words, "--workload", str(load))
    assert done.returncode == 0, done.stderr
    assert "Given: workload load.sh, 20 bytes, sha256 " in " ".join(done.stdout.split())
    assert (out / "workload").read_bytes() == load.read_bytes()
    load.write_text("#!/bin/sh\nexec false\n")
    for other in (["--workload", str(load)], []):
        done = judge(place, *words, *other)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines()[-1].endswith(
            "has a judgement with another --workload; name another folder (-o)"
        )
    load.unlink()
    again = judge(place, "--resume", str(out))
    assert again.returncode == 0, again.stderr
    assert "Given: workload load.sh, 20 bytes" in " ".join(again.stdout.split()), (
        "it goes on with the bytes that it began with"
    )


def test_a_program_that_no_guest_can_run_is_one_line(place: Path) -> None:
    (place / "good5.mbox").write_text(mail("[PATCH 1/1] x", GOOD))
    before = everything(place)
    done = judge(place, str(place / "good5.mbox"), "--base", str(place / "other"), "--workload", str(place / "nowhere"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"lazyobs: --workload {place}/nowhere: cannot be read (No such file or directory); ")
    assert everything(place) == before


def test_a_build_that_prints_for_ever_fails(place: Path) -> None:
    need_programs("make", "gcc", "ccache", "qemu-system-x86_64", "yes", feature="lab")
    floods = MAKEFILE.replace("bzImage:\n", "bzImage:\n\tyes\n")
    (place / "floods.mbox").write_text(mail("[PATCH 1/1] x", diff("Makefile", MAKEFILE, floods)))
    out = place / "out6"
    done = judge(place, str(place / "floods.mbox"), "--base", str(place / "linux"), "--flavour", "plain", "--until", "card", "-o", str(out))  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("lazyobs judge: FAIL\n  build, plain: does not build: printed more than 256 MiB\n")
    assert sum(path.stat().st_size for path in out.rglob("*")) < 4 << 20
    assert running("yes") == []
