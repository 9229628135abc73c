# SPDX-License-Identifier: MIT
"""What a view may ask of any source."""

from __future__ import annotations

from typing import Protocol

from lazyobs.model import Sample


class Source(Protocol):
    """A stream of samples, live or recorded."""

    def read(self) -> Sample:
        """The state now (or the next recorded one). EOFError at the end of a recording."""

    def close(self) -> None:
        """Gives everything back; the source is of no use afterwards."""
