# SPDX-License-Identifier: MIT
"""lazyobs that notes in the file $LATE_IMPORTS what it imports, or opens of Python and of itself, without root."""

from __future__ import annotations

import os
import sys
from typing import Any

from lazyobs.entry import main
from lazyobs.unix import privileges
from tests.harness import ROOT

_LOG = os.open(os.environ["LATE_IMPORTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
_PLACES = (f"{ROOT}/", f"{sys.prefix}/lib/python", f"{sys.base_prefix}/lib/python")
_give_up_root = privileges.give_up_root


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    what = arguments[0] if arguments else None
    if event == "import" or (event == "open" and isinstance(what, str) and what.startswith(_PLACES)):
        os.write(_LOG, f"{event} {what}\n".encode())


def _and_note(*arguments: Any, **options: Any) -> frozenset[int]:
    kept = _give_up_root(*arguments, **options)
    sys.addaudithook(_note)
    return kept


privileges.give_up_root = _and_note
main()
