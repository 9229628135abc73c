# SPDX-License-Identifier: MIT
"""The battery: scenarios that drive each path of anonymous reverse mapping and require exact event counts."""
