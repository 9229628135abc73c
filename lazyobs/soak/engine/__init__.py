# SPDX-License-Identifier: MIT
"""From a recording to a Series: queries over its files, on this machine or on a cluster.

``open_engine("duckdb")`` reads with DuckDB in this process; ``open_engine("spark")`` sends the same queries to
Apache Spark. What they give is the same to the last digit.
"""

from lazyobs.soak.engine.engine import ENGINES, Engine, open_engine

__all__ = ["ENGINES", "Engine", "open_engine"]
