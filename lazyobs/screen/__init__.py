# SPDX-License-Identifier: MIT
"""The full-screen interface of ``lazyobs top``: pages over samples, drawn line by line with Textual."""
