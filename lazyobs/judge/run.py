# SPDX-License-Identifier: MIT
"""``lazyobs judge``: takes a series, builds it beside its base, boots both, and says what was found."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lazyobs
from lazyobs import shipped, text
from lazyobs.errors import EXIT_BAD, EXIT_OK, NotPermitted, NotSupported, UsageError
from lazyobs.judge import (
    apply,
    arms,
    b4,
    boots,
    build,
    card,
    checks,
    confined,
    inside,
    lab,
    letter,
    libraries,
    measure,
    more,
    page,
    resume,
    script,
    series,
    state,
    vma_tests,
)
from lazyobs.judge import base as bases
from lazyobs.judge.arms import Arm
from lazyobs.judge.asked import BASE, FLAVOURS, PLAIN, Asked
from lazyobs.judge.base import Base
from lazyobs.judge.document import document
from lazyobs.judge.judgement import judge
from lazyobs.judge.progress import Progress
from lazyobs.judge.tree import Tree, prepare
from lazyobs.judge.trial import Trial, extras
from lazyobs.judge.vma_tests import Place
from lazyobs.soak import thresholds
from lazyobs.soak.verdict import FAIL
from lazyobs.text import printable

_TREE_GIB = 6  # a source and the objects of two flavours, before ccache


def run(asked: Asked, as_b4: bool = False, goes_on: bool = False) -> int:
    """The exit status. What was done is kept in the output folder, whatever ends this. ``goes_on``: by --resume."""
    progress = Progress()
    if os.uname().machine != "x86_64":
        raise NotSupported("judge", f"it builds and boots kernels for x86-64, and this machine is {os.uname().machine}", "run it on such a machine")  # fmt: skip
    _check_words(asked)
    instead = {line.partition("=")[0] for line in asked.options}
    options = (*(line for line in asked.base_options if line.partition("=")[0] not in instead), *asked.options)
    wanted = [arms.given("new", asked.series, asked.cover, options)] if asked.series else []
    wanted += [arms.given(name, [words], None, options) for name, words in asked.arms]
    given = script.read(asked.workload) if asked.workload is not None else None
    names = [arm.name for arm in wanted]
    if len(names) > len(set(names)):
        raise UsageError("--arm", "two arms have one name", "give each a name of its own")
    if asked.until != "take" and bases.is_fetched(asked.base):
        _need_tools()
    base, why = _base(asked.base, wanted)
    if asked.base_options and any(arm.kind == arms.IMAGE for arm in wanted):
        raise UsageError("--base-config", "an arm is built already", "name a source, or leave it out")
    if base is None and asked.base_options:
        raise UsageError("--base-config", f"--base {printable(str(asked.base))} is built already", "name a source as the base")  # fmt: skip
    fitted = [arms.fitted(arm, base) if base is not None else arm for arm in wanted]
    for arm in fitted:
        progress.say(_taken(arm, base, why))
    if asked.until == "take":
        if as_b4:
            print("[]", flush=True)
        return EXIT_OK
    _need_tools()
    who = confined.builder()
    cache = _cache(asked.cache, who)
    output = asked.output or Path(time.strftime("judge-%Y%m%d-%H%M%S"))
    folder = state.Folder(output.absolute())
    _need_room(cache)
    confined.make_folder(cache, who)
    _need_python(who)
    confined.make_folder(folder.path, who)
    tree = prepare(cache, base, who) if base is not None else None
    trees = {
        arm.name: prepare(cache, arm.base, who) for arm in fitted if arm.kind == arms.TREE and arm.base is not None
    }
    found = libraries.provide(cache, who) if asked.until in ("checks", "measure") and (tree or trees) else {}
    if not goes_on:
        resume.keep(folder, asked, fitted, given, progress, who)
    open_still = confined.confine(who, [cache, folder.path])
    (cache / "tmp").mkdir(exist_ok=True)
    os.environ.update(LAZYOBS_LAB_CACHE=str(cache / "lab"), TMPDIR=str(cache / "tmp"))
    place = Path(asked.base).resolve() if base is None and asked.base else None
    work = Work(folder, cache, base, tree, trees, place, fitted, progress, given, found, asked.base_options)
    try:
        _write_down(folder, cache, asked, fitted, base, why, who, open_still, given)
        return work.run(asked.until, as_b4, asked.each_patch)
    except OSError as error:
        if not build.is_full(error):
            name = Path(str(error.filename or ""))
            if folder.path not in name.parents:
                raise
            # What a patch has left there, say.
            raise NotPermitted(printable(str(name)), f"cannot be used ({error.strerror})", "remove it, or name another folder (-o)") from None  # fmt: skip
        full = next((where for where in (folder.path, cache) if not os.statvfs(where).f_bavail), cache)
        raise build.NoRoom(full) from None


def _check_words(asked: Asked) -> None:
    words = [*asked.series, *(source for _, source in asked.arms), *([] if asked.base is None else [asked.base])]
    if "" in words:
        raise UsageError("judge", "a name is empty", "name a series, a source or a base")
    for line in (*asked.base_options, *asked.options):
        if line.endswith("=n") and line.removesuffix("=n") in build.ESSENTIAL:
            raise UsageError(line, "no guest comes up without it", "leave it out")


def _base(name: str | None, wanted: Sequence[Arm]) -> tuple[Base | None, str]:
    """None for an image that is built already."""
    if name is not None:
        if os.path.isfile(Path(name) / "vmlinuz"):
            if any(arm.kind == arms.SERIES for arm in wanted):
                raise UsageError(
                    f"--base {printable(name)}", "is a built kernel, to which no series applies", "name a source"
                )
            return None, ""
        return bases.named(name), ""
    first = next((arm for arm in wanted if arm.kind == arms.SERIES), None)
    if first is None:
        raise UsageError("judge", "nothing says what to compare with", "name a base (--base)")
    return bases.fitting(first.series)


def _taken(arm: Arm, base: Base | None, why: str) -> str:
    if arm.kind != arms.SERIES or base is None:
        return f"{arm.name}: {arm.source}"
    count = len(arm.series.patches)
    notes = "".join(f"; {note}" for note in arm.series.notes)
    return f"{arm.name}: {count} {'patch applies' if count == 1 else 'patches apply'} to {base.name} {base.version}{f', {why}' if why else ''}{notes}"  # fmt: skip


def _need_tools() -> None:
    missing = lab.packages.missing([*lab.packages.BUILD_TOOLS, *lab.packages.BOOT_TOOLS["amd64"], ("tar", "tar")])
    if missing:
        raise NotSupported(
            "judge", f"needs {', '.join(missing)} to build and boot", f"apt-get install {' '.join(missing)}"
        )


def _cache(named: Path | None, who: confined.Builder) -> Path:
    """Where sources, objects and images are kept: of root in a place that the builder can reach."""
    if named is not None:
        return named.absolute()
    if "LAZYOBS_LAB_CACHE" in os.environ or not who.changes:
        return (
            lab.cache.root().parent / "judge" if "LAZYOBS_LAB_CACHE" not in os.environ else lab.cache.root() / "judge"
        )
    return Path("/var/cache/lazyobs-judge")


def _need_room(cache: Path) -> None:
    there = next(place for place in (cache, *cache.parents) if os.path.exists(place))
    found = os.statvfs(there)
    free = found.f_bavail * found.f_frsize
    if not os.path.exists(cache / "base") and free < _TREE_GIB << 30:
        raise NotSupported("judge", f"the disk is full: {free >> 20} MiB are free at {printable(str(there))}, and {_TREE_GIB} GiB are needed", "make room, or name another folder with --cache")  # fmt: skip


def _need_python(who: confined.Builder) -> None:
    """The guests run this lazyobs, read by the user that builds."""
    user: dict[str, Any] = {"user": who.uid, "group": who.gid, "extra_groups": []} if who.changes else {}
    modules = os.pathsep.join(shipped.module_path())
    try:
        done = subprocess.run([sys.executable, "-c", "import lazyobs.judge.inside, lazyobs.cli"], cwd="/", env={"PYTHONPATH": modules, "PATH": "/usr/bin:/bin"}, capture_output=True, stdin=subprocess.DEVNULL, check=False, **user)  # fmt: skip
        why = (
            (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it fails"])[-1] if done.returncode else ""
        )
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        raise NotPermitted("judge", f"{who.name}, as which it builds and boots, cannot run this lazyobs ({printable(why)})", "install it where all users can read it, or run judge as an ordinary user")  # fmt: skip


def _write_down(
    folder: state.Folder,
    cache: Path,
    asked: Asked,
    fitted: Sequence[Arm],
    base: Base | None,
    why: str,
    who: confined.Builder,
    open_still: list[str],
    given: script.Script | None,
) -> None:
    """judge.json, and the series as they came; kept as they are where a judgement goes on."""
    workload = {"workload": given.about()} if given else {}
    if (kept := folder.read(state.SETTINGS)) is not None:
        _same(folder, fitted, base, asked.base_options)
        if (kept["run"].get("workload") or {}).get("sha256") != (given.about()["sha256"] if given else None):
            raise UsageError(printable(str(folder.path)), "has a judgement with another --workload", "name another folder (-o)")  # fmt: skip
        return
    if given:
        folder.write_bytes(script.KEPT, given.content, 0o755)
    for arm in fitted:
        arm.series.put(folder.path / "series" / arm.name)
        if asked.cover is not None and arm.name == "new":
            folder.write_text(f"cover-{arm.name}.txt", resume.cover_of(arm))
    accelerated = "with KVM" if os.access("/dev/kvm", os.R_OK | os.W_OK) else "guests emulated"
    folder.write(
        state.SETTINGS,
        {
            "format": state.FORMAT,
            "place": os.getcwd(),
            "cache": str(cache),
            "base": {**({"name": base.name, "version": base.version, "why": why, "key": base.key} if base else {"name": asked.base, "version": "built already", "why": "", "key": ""}), **_with(asked.base_options)},
            "run": {
                "began": round(time.time()), "lazyobs": lazyobs.__version__, "host": f"{os.cpu_count()} CPUs, {accelerated}",
                "budget": asked.budget, "again": shlex.join(["lazyobs", *sys.argv[1:]]), "flavours": list(_flavours(asked, fitted, base)),
                "builder": who.name, "open_still": open_still, "version": state.VERSION, **workload,
            },
            "arms": {arm.name: arm.about() for arm in fitted},
        },
    )  # fmt: skip


def _flavours(asked: Asked, fitted: Sequence[Arm], base: Base | None) -> Sequence[str]:
    """Those that are built; a kernel that was built already is taken for plain."""
    built = base is not None or any(arm.kind != arms.IMAGE for arm in fitted)
    return asked.flavours if built else (PLAIN,)


def _with(options: Sequence[str]) -> dict[str, Any]:
    return {"options": list(options)} if options else {}


def _same(folder: state.Folder, fitted: Sequence[Arm], base: Base | None, options: Sequence[str]) -> None:
    """UsageError where the folder has the judgement of something else."""
    kept = folder.settings()
    own = {arm.name: _essence(arm.about()) for arm in fitted}
    if (
        kept["base"]["key"] != (base.key if base else "")
        or sorted(kept["base"].get("options", [])) != sorted(options)
        or {name: _essence(about) for name, about in kept["arms"].items()} != own
    ):
        raise UsageError(printable(str(folder.path)), "has another judgement", "name another folder (-o)")


def _essence(about: dict[str, Any]) -> dict[str, Any]:
    """What does not depend on where a series was read from."""
    counts = {key: about["series"][key] for key in ("added", "removed", "files")}
    return {"kind": about["kind"], "options": sorted(about["series"]["options"]), **counts}


@dataclass
class Work:
    """What is left to do in a folder, after everything was given up that a patch must not have."""

    folder: state.Folder
    cache: Path
    base: Base | None
    tree: Tree | None
    trees: dict[str, Tree]
    place: Path | None
    arms: list[Arm]
    progress: Progress
    given: script.Script | None = None
    libraries: dict[str, libraries.Library] = field(default_factory=dict)
    base_options: Sequence[str] = ()

    def run(self, until: str, as_b4: bool, each_patch: bool = False) -> int:
        settings = self.folder.settings()
        self.progress.show = self._show
        flavours = tuple(settings["run"]["flavours"])
        try:
            images = self._images(flavours)
            if each_patch:
                self._each_patch()
            if until in ("checks", "measure"):
                share = boots.share(self.cache, self._harness())
                self._more(images, share)
                trial = Trial(self.folder, images, share, self.progress, float(settings["run"]["budget"]), flavours)
                trial.check([arm.name for arm in self.arms])
                if until == "measure":
                    trial.measure([arm.name for arm in self.arms])
        except KeyboardInterrupt:
            self.progress.say(
                f"interrupted; what was done is kept: lazyobs judge --resume {shlex.quote(str(self.folder.path))}"
            )
            raise
        return say(self.folder, as_b4)

    def _more(self, images: Mapping[str, Path], share: Path) -> None:
        """What not every judgement has: the tests that come with the arms' sources, and a program of the user's."""
        places: dict[str, Place] = {}
        for name in (BASE, *(arm.name for arm in self.arms)):
            arm = next((one for one in self.arms if one.name == name), None)
            if f"{name}-{PLAIN}" in images and (source := self._source(name, arm)):
                places[name] = Place(*source)
        more.prepare(more.Job(self.folder, self.cache, share, self.progress, self.arms, places), self.given, self.libraries)  # fmt: skip

    def _source(self, name: str, arm: Arm | None) -> tuple[Tree, str, apply.Applied, Sequence[str]] | None:
        """The tree that an arm is built in, the key of what it is built on, what is put into it, and the options of its
        configuration; None of an image."""
        tree, base = (
            (self.trees[name], arm.base) if arm is not None and arm.kind == arms.TREE else (self.tree, self.base)
        )
        if tree is None or base is None or (arm is not None and arm.kind == arms.IMAGE):
            return None
        if arm is None:
            return tree, base.key, apply.Applied(), self.base_options
        return tree, base.key, arm.applied, arm.options

    def _harness(self) -> Path:
        """A source that has the harness of the kernel's selftests."""
        places = [tree.source for tree in (self.tree, *self.trees.values()) if tree is not None]
        places += sorted((self.cache / "base").glob("*/source"))
        if not places:
            raise NotSupported("judge", "without a source the kernel's selftest cannot be built", "judge a series first, or give a source as one of the arms")  # fmt: skip
        return places[0]

    def _images(self, flavours: Sequence[str]) -> dict[str, Path]:
        """{arm-flavour: its image}, without those that do not build. NotSupported where the base does not."""
        found: dict[str, Path] = {}
        for flavour in flavours:
            for name in (BASE, *(arm.name for arm in self.arms)):
                arm = next((one for one in self.arms if one.name == name), None)
                image = self._image(name, arm, flavour)
                if image is None:
                    continue
                found[f"{name}-{flavour}"] = image.folder
                if flavour == PLAIN and arm is not None and f"{BASE}-{flavour}" in found:
                    self._card(arm, build.Image(found[f"{BASE}-{flavour}"]), image)
        return found

    def _image(self, name: str, arm: Arm | None, flavour: str) -> build.Image | None:
        given = self.place if arm is None else arm.place
        if given is not None:
            return self._given(name, given) if flavour == PLAIN else None
        source = self._source(name, arm)
        assert source is not None
        tree, base_key, applied, options = source
        builder = build.Builder(self.cache, tree, self.folder.path, self.progress.still)
        label = f"{name}-{flavour}"
        if not builder.has(build.key(tree, base_key, applied, flavour, options)):
            self.progress.say(f"building {name}, {flavour} ({FLAVOURS[flavour]})")
        try:
            image = builder.image(name, base_key, applied, flavour, options)
        except build.BuildFailed as error:
            if arm is None:
                assert self.base is not None
                raise NotSupported(f"the base {self.base.name}", f"does not build here: {error.why}", f"look into {printable(str(error.log))}") from None  # fmt: skip
            self.folder.add_build(label, {"image": "", "seconds": 0, "why": f"does not build: {error.why}"})
            self.progress.say(f"{name}, {flavour}: does not build: {error.why}")
            return None
        if arm is None:
            self._need_options(image)
        self.folder.add_build(label, {"image": image.folder.name, "seconds": image.seconds, "why": ""})
        return image

    def _need_options(self, image: build.Image) -> None:
        """UsageError where the base has refused an option: it would be compared with a kernel that has it."""
        refused = [option for option in self.base_options if any(note.endswith(f" {option}") for note in image.notes)]
        if refused:
            raise UsageError(f"--base-config {refused[0]}", "the base's configuration does not take it", "look into its Kconfig: the option is not there, or depends on another")  # fmt: skip

    def _given(self, name: str, place: Path) -> build.Image:
        """A kernel that was built already."""
        image = arms.imported(place, self.cache)
        self.folder.add_build(f"{name}-{PLAIN}", {"image": image.folder.name, "seconds": 0, "why": ""})
        return image

    def _card(self, arm: Arm, base: build.Image, new: build.Image) -> None:
        if self.folder.card(arm.name) is None:
            made = card.card(arm.series, arm.applied, base, new)
            self.folder.write(state.CARD.format(arm=arm.name), made)
        made = self.folder.card(arm.name) or {}
        for line in letter.of_card(made):
            self.progress.say(f"{arm.name}: {line}")

    def _each_patch(self) -> None:
        """Whether the tree builds after each patch of a series."""
        for arm in (
            one for one in self.arms if one.kind == arms.SERIES and self.tree is not None and self.base is not None
        ):
            assert self.tree is not None and self.base is not None
            for count in range(1, len(arm.series.patches)):
                applied = apply.apply(arm.series, self.tree, count)
                builder = build.Builder(self.cache, self.tree, self.folder.path, self.progress.still)
                name = f"{arm.name}.{count}"
                try:
                    image = builder.image(name, self.base.key, applied, PLAIN, arm.options)
                    self.folder.add_build(
                        f"{name}-{PLAIN}", {"image": image.folder.name, "seconds": image.seconds, "why": ""}
                    )
                except build.BuildFailed as error:
                    self.folder.add_build(f"{name}-{PLAIN}", {"image": "", "seconds": 0, "why": f"does not build after patch {count}: {error.why}"})  # fmt: skip

    def _show(self, lines: list[str]) -> None:
        """The page while judge is at work."""
        self.folder.write_text(state.PAGE, page.page(_document(self.folder), lines))


def _document(folder: state.Folder) -> dict[str, Any]:
    settings = folder.settings()
    with _of_damaged_files(folder):
        judged = [judge(folder, name, _series(folder, name), thresholds.load()) for name in settings["arms"]]
        return document(folder, settings, judged)


@contextlib.contextmanager
def _of_damaged_files(folder: state.Folder) -> Iterator[None]:
    """UsageError where something of the folder is not what judge writes: the builder of a patch can write there, too."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, ArithmeticError) as error:
        raise UsageError(printable(str(folder.name)), f"has files that are damaged ({type(error).__name__}: {printable(str(error))[:80]})", "judge the series anew") from None  # fmt: skip


def _series(folder: state.Folder, arm: str) -> series.Series:
    place = folder.path / "series" / arm
    if not place.is_dir() or not os.listdir(place):
        return series.Series([])
    cover = folder.path / f"cover-{arm}.txt"
    return series.read([place], cover if cover.exists() else None)


def say(folder: state.Folder, as_b4: bool = False) -> int:
    """Writes letter, page and document of a folder, and prints the letter; the exit status."""
    made = _document(folder)
    with _of_damaged_files(folder):
        written = letter.letter(made)
        folder.write(state.VERDICT, made)
        folder.write_text(state.LETTER, written)
        folder.write_text(state.PAGE, page.page(made))
    print(json.dumps(b4.checks(made, written), indent=1) if as_b4 else written, end="\n" if as_b4 else "", flush=True)
    return EXIT_BAD if made["word"] == FAIL else EXIT_OK


def again(path: Path, as_b4: bool = False) -> int:
    """Says anew what the data of a folder say. No kernel is run, and nothing is built."""
    folder = state.Folder(confined.become_owner(path), path)
    folder.settings()
    try:
        return say(folder, as_b4)
    except OSError as error:
        raise NotPermitted(printable(str(path)), f"cannot be read and written ({error.strerror or error})", "make it readable and make room, or copy it to where it can be written") from None  # fmt: skip


def repeat(path: Path, which: str, cache: Path | None) -> int:
    """Boots one image of a folder again and runs one step in it, or runs the tests of mm/vma.c again; prints what it
    says, as JSON. The exit status. ``cache``: as it was named when the judgement began. Nothing in the folder is read
    before root is given up."""
    folder = state.Folder(path.absolute())
    who = confined.builder()
    cache = _cache(cache, who)
    confined.confine(who, [cache, folder.path])
    folder.settings()
    arm, _, rest = which.partition("-")
    flavour, _, step = rest.partition("-")
    made = folder.builds().get(f"{arm}-{flavour}")
    steps = (*inside.STEPS, *more.BESIDES)
    if made is None or step not in steps or (step in more.BESIDES and flavour != PLAIN):
        raise UsageError(f"--repeat {printable(which)}", "is no boot of that folder", f"take ARM-FLAVOUR-STEP, with a step of {', '.join(steps)}")  # fmt: skip
    image = cache / "images" / Path(str(made["image"])).name
    share = cache / "lab" / "share"
    tests = (folder.read(vma_tests.RESULTS) or {}).get(arm, {}).get("program", "")
    program = cache / "vma" / Path(str(tests)).name / vma_tests.PROGRAM
    there = program.is_file() if step == vma_tests.STEP else (image / "vmlinuz").is_file() and share.is_dir()
    if not there:
        raise NotSupported(
            f"--repeat {printable(which)}", "its image is no longer in the cache", "judge the series anew"
        )
    os.environ.update(LAZYOBS_LAB_CACHE=str(cache / "lab"), TMPDIR=str(cache / "tmp"))
    guest = folder.read(state.GUEST) or {}
    if step == vma_tests.STEP:
        found = vma_tests.run(program, folder.path / f"build-{arm}-{vma_tests.STEP}.log")
        print(json.dumps(found, indent=1))
        return EXIT_BAD if found["outcome"] == inside.FAIL else EXIT_OK
    if step in more.BESIDES:
        found, boot = measure.waits(image, share) if step == more.WAITS else measure.measure(image, share, str(guest.get("script", "")))  # fmt: skip
        bad = bool(found["why"] or (found.get("script") or {}).get("status"))
    else:
        found, boot = checks.check(image, flavour, share, [], Progress().say, (step,), extras(guest, arm))
        bad = any(row["outcome"] == inside.FAIL for row in found["results"])
    print(json.dumps(found, indent=1))
    for line in (*boot.errors.splitlines()[-20:], *boot.splats):
        text.say(line)
    return EXIT_BAD if bad else EXIT_OK
