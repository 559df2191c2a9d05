# `make book` and `make test` are all a newcomer needs; `make help` lists the rest.
SHELL := /bin/bash
BIN := .venv/bin

# The environment is ready when the file named after its ingredients exists.
READY := .venv/ready-$(shell cat requirements.lock pyproject.toml | cksum | cut -d' ' -f1)

# Real data beside a checkout is used when it is there; a reader's own COMPANION_DATA wins.
ifndef COMPANION_DATA
ifneq ($(wildcard ../shared/data/README.md),)
export COMPANION_DATA := $(abspath ../shared/data)
endif
endif

# The first Python that is new enough; `make book PYTHON=python3.12` names another.
NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	$$name $(NEW_ENOUGH) && echo $$name && break; done)

# How many processes run the tests.
WORKERS ?= 2

# The order of the checks is the order of their output, also under `make -j`.
.NOTPARALLEL:
.PHONY: help book test lint unit lab chapters proof hooks lock clean environment

help:
	@echo "make book      build the site from the stored outputs and say where to open it"
	@echo "make test      run everything: style, types, tests, chapters at small size, site, browser"
	@echo "make lab       open JupyterLab on the chapters"
	@echo "make chapters  run chapters at full size and store their outputs (ONLY=10 for one)"
	@echo "make proof     compare the tokenizer with the reference on a million strings (minutes)"
	@echo "make lint      the quick checks alone; 'make hooks' runs them before every commit"
	@echo "make clean     remove what was built; the environment .venv stays"

book: $(READY)
	@$(BIN)/python book/build.py

test: lint unit

lint: $(READY)
	@.ci/step "ruff check" $(BIN)/ruff check
	@.ci/step "ruff format" $(BIN)/ruff format --check
	@.ci/step "mypy" $(BIN)/mypy
	@.ci/step "import-linter" $(BIN)/lint-imports
	@.ci/step "chapter rules" $(BIN)/python book/run_chapters.py lint

# Two processes at once: most tests wait for imports and browsers more than they compute.
unit: $(READY)
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadgroup

lab: $(READY)
	$(BIN)/jupyter lab --notebook-dir=chapters

chapters: $(READY)
	$(BIN)/python book/run_chapters.py run $(ONLY)

# Needs COMPANION_DATA; the result is stored, dated and held by a test.
proof: $(READY)
	$(BIN)/python -m tests.text.proof

hooks: $(READY)
	$(BIN)/pre-commit install
	$(BIN)/nbdime config-git --enable

clean:
	rm -rf _build build dist runs companion.egg-info .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis
	find book chapters companion tests -name __pycache__ -prune -exec rm -rf {} +

environment: $(READY)

# `installing` is left behind when an installation failed or was cut off: then start afresh.
$(READY):
	@$(PYTHON) $(NEW_ENOUGH) || { echo "This project needs Python 3.11 or newer, and found" \
		"'$(PYTHON)' ($$($(PYTHON) --version 2>&1 | head -n 1)). Install Python 3.11, or name" \
		"one: make book PYTHON=python3.12"; exit 1; }
	@if [ -e .venv/installing ]; then echo "The last installation did not finish: starting afresh."; \
		rm -rf .venv; fi
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@echo "Installing the packages of requirements.lock into .venv (minutes, the first time)"
	@touch .venv/installing
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements.lock \
		&& $(BIN)/python -m pip install --disable-pip-version-check --quiet \
			--no-deps --no-build-isolation --editable .
	@rm -f .venv/ready-*
	@mv .venv/installing $@
