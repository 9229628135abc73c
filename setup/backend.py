# SPDX-License-Identifier: MIT
"""setuptools as a build backend (PEP 517), with what a wheel takes beside it: its man pages are made from the commands,
which import what setup.cfg has in install_requires. An editable installation has no man pages, and takes none of it."""

from __future__ import annotations

import configparser
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403

_SETUP = Path(__file__).resolve().parent.parent / "setup.cfg"


def get_requires_for_build_wheel(config_settings: dict[str, str] | None = None) -> list[str]:
    config = configparser.ConfigParser()
    config.read(_SETUP)
    needed = config["options"]["install_requires"].splitlines()
    return [*build_meta.get_requires_for_build_wheel(config_settings), *(line for line in needed if line)]
