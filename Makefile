# The front door. Needs Python >= 3.11 (with venv) and make, nothing else; everything is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-long test-kannel smoke bench bench-compare check fmt lock install

help:
	@echo 'make run        start Kafka, PostgreSQL, the simulators and all services; Ctrl-C stops them, data stays in .local/'
	@echo 'make test       every test that a change needs, on real Kafka and PostgreSQL (at most 10 minutes on 2 cores)'
	@echo 'make test-long  the rest: many seeds, many kills, long faults'
	@echo 'make test-kannel  the SMS road by Kannel, with Debian'"'"'s Kannel where it is installed'
	@echo 'make smoke      start the whole system on free ports, walk the main path, print each step and its time'
	@echo 'make bench      what a lead costs beside two other programs (ONLY=pipeline|latency|http|onec|clocks|sms|soak, LEADS=n, ROUNDS=n, OPEN=n)'
	@echo 'make bench-compare BEFORE=commit  the same beside an earlier commit, in one series; exit 1 if a figure is worse'
	@echo 'make check      format, lint, types, import rules, fast tests'
	@echo 'make fmt        put the code into format'
	@echo 'make lock       write the lock files anew from pyproject.toml'
	@echo 'make help       this table'
	@echo
	@echo 'Each of them first installs what is missing into .venv. Ports and settings: .venv/bin/python -m deploy.local run --help'

run: $(INSTALLED)
	@$(BIN)/python -m deploy.local run

# Two files at a time, each with servers of its own, unless servers are given; the long files come first.
test: $(INSTALLED)
	@$(PYTEST) -m 'not long' -n $(if $(KAFKA_BOOTSTRAP_SERVERS),0,2) --dist loadfile --no-loadscope-reorder

test-long: $(INSTALLED)
	@$(PYTEST) -m long

test-kannel: $(INSTALLED)
	@$(PYTEST) tests/notifier/test_kannel.py tests/notifier/test_providers.py

smoke: $(INSTALLED)
	@$(BIN)/python -m tests.smoke

bench: $(INSTALLED)
	@$(BIN)/python -m tests.bench $(if $(ONLY),--only $(ONLY)) $(if $(LEADS),--leads $(LEADS)) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-compare: $(INSTALLED)
	@$(BIN)/python -m tests.bench.compare $(BEFORE) $(if $(ONLY),--only $(ONLY)) $(if $(LEADS),--leads $(LEADS)) $(if $(ROUNDS),--rounds $(ROUNDS))

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -q -m 'not infra and not long'

fmt: $(INSTALLED)
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

lock: $(INSTALLED)
	@test -x $(BIN)/uv || $(PIP) install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --group dev pyproject.toml -o requirements-dev.lock

install: $(INSTALLED)

# The stamp is written last: an installation that was interrupted is done again, and so is one of an older lock file.
$(INSTALLED): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, and $(PYTHON) is %d.%d; try make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import venv, ensurepip' || { echo 'the venv module of $(PYTHON) is missing (on Debian: the package python3-venv)'; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'installing into $(VENV) (a minute or two, once)'
	@$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	@touch $@
