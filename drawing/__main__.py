# SPDX-License-Identifier: MIT
"""``python -m drawing [--list] [NAME..]``"""

from __future__ import annotations

import sys

from drawing import answers
from drawing.pictures import DRAWN, draw


def main(names: list[str]) -> int:
    known = ("answers", *DRAWN)
    if names == ["--list"]:
        print("\n".join(known))
        return 0
    if unknown := [name for name in names if name not in known]:
        print(f"drawing: there is no {unknown[0]}; python -m drawing --list", file=sys.stderr)
        return 2
    for name in names or known:
        print(name, flush=True)
        if name == "answers":
            answers.write()
        else:
            draw(name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
