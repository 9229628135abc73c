# SPDX-License-Identifier: MIT
"""Draws what the documents show: pictures of the screen, of pages and boards, and the answers in the README.

    .venv/bin/python -m drawing               # all; or some of them by name
    .venv/bin/python -m drawing --list

Beside each picture of text lie its words (docs/pictures/NAME.txt), which a test compares with today's.
"""
