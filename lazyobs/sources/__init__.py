# SPDX-License-Identifier: MIT
"""Where samples come from. Every source has ``read() -> Sample`` and ``close()``; views know no more."""
