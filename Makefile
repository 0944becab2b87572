# `make demo` and `make test` need nothing but Python 3.11+, venv, git and make.
PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
READY := $(VENV)/.ready

.PHONY: help demo up ui test test-slow bench bench-empty pictures lint format docs golden lock clean setup

help: ## Show what there is to make
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## Virtual environment from requirements.lock

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m pip check
	@touch $(READY)

demo: $(READY) ## The whole story on this machine, in about two minutes
	$(BIN)/python -m deployments.demo

up: $(READY) ## Two sample shops that ring, under Prefect, until Ctrl-C
	$(BIN)/tillbridge up --demo

ui: $(READY) ## Open the history of the demo's flows
	$(BIN)/python -m deployments.demo ui

test: $(READY) ## All tests but the slow ones
	$(BIN)/python -m pytest -m "not slow" -n auto --maxprocesses 4 --dist loadfile --durations=15

test-slow: $(READY) ## The slow tests
	$(BIN)/python -m pytest -m slow -n auto --maxprocesses 4 --dist loadfile --durations=15

bench: $(READY) ## The full trip on 200,000 lines, stage by stage
	$(BIN)/python -m tests.bench

bench-empty: $(READY) ## What a run costs that finds nothing, beside a bare Prefect flow
	$(BIN)/python -m tests.bench.empty

pictures: $(READY) ## Renew docs/pictures from the tests in a browser
	TILLBRIDGE_TEST_PICTURES=1 $(BIN)/python -m pytest tests/browser

lint: $(READY) ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## Lay out the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## Renew docs/rules.md from the contracts
	$(BIN)/python -m tests.rules_page

golden: $(READY) ## Renew tests/rms/golden: what SQL Server is asked
	$(BIN)/python -m tests.rms.catalogue

lock: ## Renew requirements.lock (needs uv)
	uv pip compile --quiet --universal --generate-hashes --strip-extras --no-emit-index-url --no-header --python-version 3.11 requirements.in -o requirements.lock

clean: ## Remove what make made
	rm -rf $(VENV) .demo .up .tillbridge .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
