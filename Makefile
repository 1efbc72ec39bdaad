# The commands of this project. They need Python >= 3.11 (with venv) and make; everything else is installed into .venv.

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
	@echo 'make run        start Kafka, PostgreSQL, the simulators and all services; Ctrl-C stops them, data is kept in .local/'
	@echo 'make test       run the tests of a change on real Kafka and PostgreSQL (at most 10 minutes on 2 cores)'
	@echo 'make test-long  run the long tests: many seeds, many kills, long faults'
	@echo 'make test-kannel  run the tests of the SMS provider Kannel, with a real Kannel if it is installed'
	@echo 'make smoke      start the whole system on free ports, run the main path, print each step and its time'
	@echo 'make bench      measure Truce and two other programs (ONLY=pipeline|latency|http|onec|clocks|sms|soak, LEADS=n, ROUNDS=n, OPEN=n)'
	@echo 'make bench-compare BEFORE=COMMIT  measure this checkout and an earlier commit in one series; exit 1 if a figure is worse'
	@echo 'make check      check format, lint, types and import rules, and run the fast tests'
	@echo 'make fmt        format the code'
	@echo 'make lock       resolve pyproject.toml and write the lock files'
	@echo 'make help       print this text'
	@echo
	@echo 'Each command first installs missing packages into .venv. Ports and settings: .venv/bin/python -m deploy.local run --help'
	@echo 'Commands of the services, with the settings of the last run: .venv/bin/python -m deploy.local exec SERVICE --help'

run: $(INSTALLED)
	@$(BIN)/python -m deploy.local run

# Two workers, each with servers of its own; one worker if the tests use servers that already run.
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

# The stamp file is written last, so an interrupted installation is repeated. A newer lock file causes an installation.
$(INSTALLED): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, and $(PYTHON) is %d.%d; try make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import venv, ensurepip' || { echo 'the venv module of $(PYTHON) is missing (on Debian: the package python3-venv)'; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'installing into $(VENV) (a minute or two, once)'
	@$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	@touch $@
