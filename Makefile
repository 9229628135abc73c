# SPDX-License-Identifier: MIT
# `make help` prints the text behind "##" here and in lab/lab.mk.

##@ Settings, given behind the target (make test TESTS=tests/kernel)
## VENV=DIR         the virtual environment (.venv)
## COMMAND=PATH     where to install the command (/usr/local/bin/lazyobs); in a directory that you may
##                  write, nothing is done as root: make setup COMMAND=~/.local/bin/lazyobs
## SUDO=            tests and benchmarks as yourself; what needs root is skipped
## TESTS=ARGS       what pytest is given: TESTS="tests/kernel -k btf"
## SECONDS=N        how long make soak-self runs (1800)
## BENCH=NAMES      some of the benchmarks: BENCH=start,screen
## PYTHON3=3.11,3.13  the Pythons of lazyobs-analysis (make deb): Debian 12's and Debian 13's
## PACKAGES=NAMES   one of the Debian packages: PACKAGES=lazyobs
## SUITE=trixie     the release that make deb-try tries (bookworm)
VENV := .venv
COMMAND := /usr/local/bin/lazyobs
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
TESTS :=
BENCH :=
SECONDS := 1800
PYTHON3 := 3.11,3.13
PACKAGES :=
SUITE := bookworm

PYTHON = $(SUDO) $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup installed usable uninstall top test test-quick bench soak-self check man images dist deb deb-try deb-systemd rpm sbom site

help: ## print this text
	@awk -f setup/help.awk $(MAKEFILE_LIST)
	@echo
	@echo 'Start with "make top"; without root with "make setup COMMAND=~/.local/bin/lazyobs".'

setup: ## install what is missing: distribution packages, a virtual environment, the command
	@setup/install --hint "$(VENV)" "$(COMMAND)"

installed:
	@setup/install "$(VENV)" "$(COMMAND)"

uninstall: ## remove the virtual environment, and the command if it runs from this checkout
	@setup/uninstall "$(VENV)" "$(COMMAND)"

usable:
	@setup/install --use "$(VENV)" "$(COMMAND)"

top: usable ## install what that takes, in seconds, then run sudo lazyobs top
	@if [ -t 1 ]; then $(SUDO) $(COMMAND) top; else $(SUDO) $(COMMAND) top -b -n 3; fi

test: installed ## set up, then run the tests (about 40 minutes on 2 CPUs)
	@$(SUDO) setup/test $(VENV)/bin/python $(TESTS)

test-quick: installed ## set up, then run the tests that are fast (3 minutes on 2 CPUs)
	@echo "Left out are tests marked lab (guests) or slow: the battery, the recorder, browsers, Prometheus, statistics."
	@$(PYTHON) -m pytest -m "not slow and not lab" $(TESTS)

bench: installed ## set up, then measure what lazyobs costs, beside its peers
	@$(PYTHON) -m bench $(BENCH)

soak-self: installed ## set up, then run record, export and top under load: nothing may grow (SECONDS=120)
	@$(PYTHON) -m bench.soak_self $(SECONDS)

check: installed ## lint, formats of Python and C, types; what CI asks first
	@setup/check "$(VENV)"

images: ## compile the probes that come along (lazyobs/images); needs BCC, and root
	@$(SUDO) /usr/bin/python3 -m lazyobs.bpf.make_images

man: installed ## write man pages to build/man (man -M build/man lazyobs-top)
	@$(VENV)/bin/python -m lazyobs.manual build/man/man1

dist: installed ## build an sdist and a wheel in dist; the same commit gives the same bytes
	@$(VENV)/bin/python setup/dist.py dist

deb: dist ## build the Debian packages in dist
	@$(VENV)/bin/python packages/deb/build.py --python $(PYTHON3) dist/lazyobs-*.whl dist $(PACKAGES)

rpm: dist ## build an rpm in dist, of the same files; needs rpmbuild (Debian's package rpm)
	@$(VENV)/bin/python packages/rpm/build.py dist/lazyobs-*.whl dist

site: installed ## build the pages as a site in build/site; a link that leads nowhere is an error
	@$(VENV)/bin/python -c 'import material' 2>/dev/null || $(VENV)/bin/pip install -q --disable-pip-version-check -e '.[site]'
	@$(VENV)/bin/python packages/site.py build/site

sbom: dist ## list what an installation consists of, with licences: dist/lazyobs.cdx.json (CycloneDX)
	@packages/sbom dist/lazyobs-*.whl dist/lazyobs.cdx.json

deb-try: ## install, use, upgrade and purge dist/lazyobs_*.deb in a clean root (SUITE=trixie); as root, with debootstrap
	@packages/deb/try $(SUITE) dist/lazyobs_*_all.deb

deb-systemd: ## try the service of dist/lazyobs_*.deb under systemd, in namespaces (SUITE=trixie); as root, with debootstrap
	@packages/deb/try-systemd $(SUITE) dist/lazyobs_*_all.deb

include lab/lab.mk
