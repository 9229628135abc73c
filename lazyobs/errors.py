# SPDX-License-Identifier: MIT
"""Errors that print as one line: what happened, why, and what to do next."""

from __future__ import annotations

from pathlib import Path

EXIT_OK = 0
EXIT_BAD = 1  # the result is bad: verdict FAIL, selftest failed
EXIT_USAGE = 2
EXIT_REFUSED = 3  # not permitted, not supported here, or interrupted before the verdict


class LazyobsError(Exception):
    """An error of one line. ``exit_code`` is the exit status of the command."""

    exit_code = EXIT_REFUSED

    def __init__(self, what: str, why: str, next_step: str) -> None:
        super().__init__(what, why, next_step)
        self.what = what
        self.why = why
        self.next_step = next_step

    def __reduce__(self) -> tuple[object, ...]:
        """Makes the error picklable, whatever arguments its class takes."""
        return _again, (type(self), self.what, self.why, self.next_step)

    def __str__(self) -> str:
        line = f"{self.what}: {self.why}; {self.next_step}"
        return " ".join(line.split())


def _again(kind: type[LazyobsError], what: str, why: str, next_step: str) -> LazyobsError:
    error = kind.__new__(kind)
    LazyobsError.__init__(error, what, why, next_step)
    return error


# Where a distribution's package has its modules, and what says that it is Debian's: the rpm has no others beside it.
_PACKAGED = Path("/usr/lib/lazyobs")
_DPKG = Path("/var/lib/dpkg/info/lazyobs.list")
# Of Debian, by extra. No archive need have those that are made with this one: apt takes the files as well.
_PACKAGES = {
    "soak": "lazyobs-analysis, or from where this package came ./lazyobs-analysis_*.deb",
    "lab": "lazyobs-lab, or from where this package came ./lazyobs-lab_*.deb",
    "web": "python3-yaml python3-bcrypt (top --web is in pip's lazyobs[web] alone)",
}
# Of pip: a wheel has the lab, which takes what the analysis takes.
_WITH = {"lab": "soak"}


def way_to_install(extra: str) -> str:
    """The next step where packages of ``extra`` (setup.cfg) are missing. The package index need not have lazyobs: pip
    takes the one that is installed, and adds what the extra names."""
    home = Path(__file__).resolve().parents[1]
    if (home / "setup.cfg").is_file():
        return f"run make setup in the checkout, or there: pip install '.[{extra}]'"
    if home == _PACKAGED and not _DPKG.exists():
        return (
            f"install the wheel in a virtual environment, as lazyobs[{_WITH.get(extra, extra)}] (lazyobs help install)"
        )
    if home == _PACKAGED and extra in _PACKAGES:
        return f"apt install {_PACKAGES[extra]}"
    return f"pip install 'lazyobs[{_WITH.get(extra, extra)}]'"


class UsageError(LazyobsError):
    """The command line requests something that does not exist."""

    exit_code = EXIT_USAGE


class NotPermitted(LazyobsError):
    """The caller lacks a permission."""


class NotSupported(LazyobsError):
    """This kernel or this machine cannot do it."""


class BpfRefused(LazyobsError):
    """No BPF program could be loaded; only the procfs tier remains."""
