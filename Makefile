# SPDX-License-Identifier: MIT
# make top    set up what is missing and run `sudo lazyobs top`
# make test   set up what is missing and run the tests
# make setup  the set-up alone: distribution packages, virtual environment, /usr/local/bin/lazyobs
# make bench  the measurements of the README, each beside its peer
# make check  linters and types

VENV := .venv
COMMAND := /usr/local/bin/lazyobs
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: setup top test bench check
setup:
	@setup/install $(VENV) $(COMMAND)

top: setup
	@if [ -t 1 ]; then $(SUDO) $(COMMAND) top; else $(SUDO) $(COMMAND) top -b -n 3; fi

test: setup
	@$(SUDO) $(VENV)/bin/python -m pytest $(TESTS)

bench: setup
	@$(SUDO) $(VENV)/bin/python -m bench $(BENCH)

check: setup
	@$(VENV)/bin/pip install -q -e '.[check]'
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy
	@# The boards' SDK needs a Python newer than the oldest that lazyobs runs on.
	@$(VENV)/bin/mypy --python-version 3.11 dashboards

include lab/lab.mk
