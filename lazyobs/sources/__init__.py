# SPDX-License-Identifier: MIT
"""Sources of samples. Every source has ``read() -> Sample`` and ``close()``; views use nothing else."""
