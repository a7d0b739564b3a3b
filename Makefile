# What one does with onestack: make up, down, test, lint, bench, docs. Try `make help`.

SHELL  := /bin/bash
PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

NO_PACKAGES = { echo 'The packages could not be fetched: is there a network? A mirror is set with PIP_INDEX_URL.'; exit 1; }
NEEDS_VENV = { [ "$$(id -u)" = 0 ] && echo '== installing python3-venv from Debian' \
	&& { apt-get -y -qq install python3-venv || { apt-get -qq update && apt-get -y -qq install python3-venv; }; } >/dev/null 2>&1 \
	|| { echo 'Python lacks its venv module. As root: apt-get install python3-venv'; exit 1; }; }

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help up down test lint suite-embedded suite-scaled-out bench docs clean

help:
	@echo 'make up      install what is needed and start a cloud      (ARGS="--port 5001")'
	@echo 'make down    stop it'
	@echo 'make test    every check: lint, types, imports, both test suites'
	@echo 'make lint    style, types and import contracts only'
	@echo 'make bench   measure a cloud of its own                    (ARGS="--help")'
	@echo 'make docs    write the OpenAPI document of every service into build/docs'
	@echo 'make clean   remove what the above made in this folder'

up: $(VENV)/installed
	@$(BIN)/python -m onestack.cli.engines
	@$(BIN)/onestack up $(ARGS)

down:
	@if [ -x $(BIN)/onestack ]; then $(BIN)/onestack down --all $(ARGS); \
	else echo 'nothing is installed here, so nothing runs from here.'; fi

test: lint suite-embedded suite-scaled-out

lint: $(VENV)/installed-dev
	@echo '== style'
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo 'not formatted; mend it with: $(BIN)/ruff format .'; exit 1; }
	@echo '== types'
	@$(BIN)/mypy
	@echo '== import contracts'
	@said=$$($(BIN)/lint-imports --no-cache 2>&1) || { echo "$$said"; exit 1; }

suite-embedded: $(VENV)/installed-dev
	@$(BIN)/python -m onestack.cli.engines
	@echo '== tests on SQLite and the local bus'
	@ONESTACK_TEST_DATABASE=sqlite ONESTACK_TEST_BUS=local $(BIN)/pytest -q -n auto --dist loadfile $(ARGS)

suite-scaled-out: $(VENV)/installed-dev
	@$(BIN)/python -m onestack.cli.engines
	@echo '== tests on PostgreSQL and RabbitMQ'
	@$(BIN)/python -m tests.servers.install
	@ONESTACK_TEST_DATABASE=postgresql ONESTACK_TEST_BUS=rabbitmq $(BIN)/pytest -q -n auto --dist loadfile $(ARGS)

bench: $(VENV)/installed-dev
	@$(BIN)/python bench/run.py $(ARGS)

docs: $(VENV)/installed
	@mkdir -p build/docs
	@for service in onestack identity placement image network volume compute; do \
		$(BIN)/onestack openapi $$service > build/docs/$$service.json && echo build/docs/$$service.json; done

clean:
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .hypothesis src/*.egg-info
	@find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps say what was installed, and are remade when what is needed changes.
$(VENV)/installed: pyproject.toml | $(BIN)/python
	@echo '== installing onestack and its dependencies into $(VENV)'
	@$(PIP) install -e '.[client]' || $(NO_PACKAGES)
	@$(BIN)/python -m compileall -q src
	@touch $@

$(VENV)/installed-dev: pyproject.toml | $(BIN)/python
	@echo '== installing onestack and its development tools into $(VENV)'
	@$(PIP) install -e '.[client,dev]' || $(NO_PACKAGES)
	@touch $(VENV)/installed $@

$(BIN)/python:
	@echo '== making the virtual environment $(VENV)'
	@command -v $(PYTHON) >/dev/null || { echo 'There is no $(PYTHON): apt-get install python3, or: make PYTHON=/path/to/python3.11'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo '$(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.11'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(NEEDS_VENV)
	@$(PYTHON) -m venv $(VENV)
