# `make help` lists the targets. All of them work in .venv, which they make themselves and which is
# made anew whenever pyproject.toml or constraints.txt changes, or the folder is moved.

PYTHON  ?= python3
WORKERS ?= 2

VENV := .venv
BIN  := $(VENV)/bin
# Python compiles what is imported when it is; pip would compile all of PyTorch first, for a minute.
PIP  := $(BIN)/python -m pip --disable-pip-version-check install -q --no-compile -c constraints.txt
# Several times as fast as pip, which stands in where uv does not reach the packages.
UV   := $(BIN)/uv pip install -q --system-certs --python $(BIN)/python -c constraints.txt
BASE := $(VENV)/.ready-base
DEV  := $(VENV)/.ready-dev
DEMO := runs/demo

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Without bytecode on disk each process would compile PyTorch again, which takes seconds.
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV PYTHONDONTWRITEBYTECODE

# A virtual environment holds absolute paths: one that was copied or moved is no longer ready.
ifneq ($(shell cat $(BASE) 2>/dev/null),$(CURDIR))
.PHONY: $(BASE)
endif

.PHONY: help
help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(BASE)  ## search a network for the digits data and train it (one minute)
	@rm -rf $(DEMO)
	$(BIN)/archwright search digits --minutes 1 --out $(DEMO)

.PHONY: test
test: lint tests  ## style, types, the order of imports, and every test

.PHONY: tests
tests: $(DEV)  ## every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: lint
lint: $(DEV)  ## style, types and the order of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

.PHONY: format
format: $(DEV)  ## put the code into shape
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

# A warning is an error. The pages of the API are made from the docstrings (docs/conf.py).
.PHONY: docs
docs: $(DEV)  ## the documentation as a site, in build/docs
	$(BIN)/python -m sphinx -q -W --keep-going -c docs -d build/doctrees . build/docs

.PHONY: bench
bench: $(DEV)  ## run the benchmarks, one after the other (takes long)
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

.PHONY: setup
setup: $(DEV)  ## the environment alone, with the tools for working on archwright

.PHONY: clean
clean:  ## remove the environment, the caches and the demo's results
	rm -rf $(VENV) build dist $(DEMO) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -rf docs/api
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

# PyTorch goes first and alone: with its version settled, pip takes the CPU build wherever it is
# offered one, and the open range in pyproject.toml cannot draw in another.
$(BASE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "archwright needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Setting up $(VENV): a minute or two, most of it for PyTorch (once)."
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) torch uv
	@echo "PyTorch is in; now archwright and the rest."
	@$(UV) -e . || $(PIP) -e .
	@printf '%s\n' '$(CURDIR)' > $@

$(DEV): $(BASE)
	@echo "Adding the tools for tests and checks: half a minute (once)."
	@$(UV) -e '.[dev]' || $(PIP) -e '.[dev]'
	@# A part of ExecuTorch imports it; its requirements contradict newer versions of numpy.
	@$(UV) --no-deps tosa-tools || $(PIP) --no-deps tosa-tools
	@touch $@
