# SPDX-License-Identifier: MIT
"""Kernel functions by the names of the probe table, whatever a design calls them.

Everything that looks up a function asks here, so that a profile's aliases hold everywhere: call sites, probed
functions, callbacks of walks, causes of promotions.
"""

from __future__ import annotations

from lazyobs.kernel.btf import Btf, Function
from lazyobs.kernel.kallsyms import Kallsyms, Symbol
from lazyobs.kernel.profile import Profile


class NotTraceable(Exception):
    """No probe can enter the function; the text says why."""


class Functions:
    """Functions of one kernel. A function is given by its name in the probe table, or by a key of STATED.

    Of the names that a function can have, the first that kallsyms has is the function.
    """

    def __init__(self, kallsyms: Kallsyms, btf: Btf | None, profile: Profile) -> None:
        self.profile = profile
        self._kallsyms, self._btf = kallsyms, btf

    def names(self, *functions: str) -> tuple[str, ...]:
        """The names that these functions can have here, in the order in which they are looked for."""
        return tuple(name for function in functions for name in self.profile.names(function))

    def parts(self, function: str) -> list[Symbol]:
        """Every part of the function, compiler-made ones included; empty where the kernel lacks it."""
        found = (self._kallsyms.parts(name) for name in self.names(function))
        return next(filter(None, found), [])

    def plain(self, function: str) -> list[Symbol]:
        """Its parts that bear its plain name: more than one when static functions share it."""
        return [symbol for symbol in self.parts(function) if symbol.keeps_arguments]

    def traceable(self, *functions: str) -> Function:
        """The first of these functions that kallsyms has, with its prototype. NotTraceable where a probe cannot
        enter it, or where there is none."""
        names = self.names(*functions)
        for name in names:
            if self._kallsyms.parts(name):
                return self._traceable(name)
        if not names:
            raise NotTraceable(f"profile {self.profile.name} names no {' or '.join(functions)}")
        raise NotTraceable(f"this kernel has no {' or '.join(names)}")

    def _traceable(self, name: str) -> Function:
        plain = self._kallsyms.plain(name)
        if not plain:
            # A copy made by the compiler may have lost or reordered arguments.
            raise NotTraceable(f"{name} exists only as {self._kallsyms.parts(name)[0].name}")
        if len(plain) > 1:
            raise NotTraceable(f"{len(plain)} functions are named {name}")
        prototype = self._btf.function(name) if self._btf is not None else None
        if prototype is None:
            raise NotTraceable(f"{name} has no prototype in BTF")
        return prototype

    def prototype(self, function: str) -> Function | None:
        """Prototype of a function that probes can enter; None of another."""
        try:
            return self.traceable(function)
        except NotTraceable:
            return None
