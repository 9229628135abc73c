# SPDX-License-Identifier: MIT
"""Why there is no compiled image. The compiler itself (compiler.py) is imported where one has to be made."""

from __future__ import annotations


class CompilerMissing(Exception):
    """This interpreter cannot import BCC."""


class CompilerError(Exception):
    """The probes did not compile; clang's messages are on stderr."""
