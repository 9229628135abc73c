# SPDX-License-Identifier: MIT
"""The compiled probes that come along: data only, made by `make images` and read by lazyobs/bpf/images.py."""
