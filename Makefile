# Every target sets up what it needs: .venv from requirements.lock, then its job.
# `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := $(VENV)/.installed
TORCH_INSTALLED := $(VENV)/.torch-installed

# PyTorch is for training and its tests only. The CPU build is a tenth of the default one in size.
TORCH_VERSION := 2.13.0
# needs PyTorch, so it is not in the lock; the metrics are compared with its
MONAI_VERSION := 1.6.1
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: demo
demo: $(INSTALLED) ## Start everything here, submit a generated hip CT, show volumes beside the truth
	$(BIN)/femurct demo --out demo-output

.PHONY: serve
serve: $(INSTALLED) ## API, worker and broker in one command; Ctrl-C stops all
	$(BIN)/femurct up

.PHONY: test
test: $(INSTALLED) $(TORCH_INSTALLED) ## All tests but the slow ones
	$(BIN)/pytest -m "not slow"

.PHONY: test-slow
test-slow: $(INSTALLED) $(TORCH_INSTALLED) ## The tests that take minutes
	$(BIN)/pytest -m slow

.PHONY: check
check: lint $(TORCH_INSTALLED) ## Format, lint, types, import contracts, fast tests
	$(BIN)/pytest -q -m "not slow" tests/unit tests/contract

.PHONY: lint
lint: $(INSTALLED) $(TORCH_INSTALLED) ## Everything of check but the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/openapi-spec-validator openapi.yaml
	$(BIN)/hadolint docker/Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker/compose*.yaml

.PHONY: format
format: $(INSTALLED) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: bench
bench: $(INSTALLED) $(TORCH_INSTALLED) ## Accuracy on unseen phantoms, time and memory, speed beside PyTorch and MONAI
	$(BIN)/python -m tests.benchmarks

.PHONY: openapi
openapi: $(INSTALLED) ## Write openapi.yaml and the columns of docs/cohort_columns.txt from the code
	$(BIN)/python -m service.api.openapi > openapi.yaml.new
	mv openapi.yaml.new openapi.yaml
	$(BIN)/python -m service.artifacts.cohort_table > docs/cohort_columns.txt

# torch is kept out of the lock, since its builds differ per machine; uv is a tool of this target only.
.PHONY: lock
lock: $(INSTALLED) ## Resolve pyproject.toml anew into requirements.lock
	$(PIP) install --quiet uv
	echo "torch; python_version < '3'" > $(VENV)/no-torch.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	  --extra dev --extra train --override $(VENV)/no-torch.txt \
	  --no-annotate --custom-compile-command "make lock" pyproject.toml -o requirements.lock

.PHONY: clean
clean: ## Remove the environment and what the targets leave behind
	rm -rf $(VENV) demo-output .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(BIN)/python:
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "femurct needs Python 3.11 or newer; found: $$($(PYTHON) --version 2>&1 || echo none)." \
	    "Install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): requirements.lock pyproject.toml | $(BIN)/python
	@echo "installing the packages of requirements.lock into $(VENV) (once)"
	$(PIP) install --quiet -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# Without PyTorch the tests of model_export are skipped and say so; CI may not skip them.
$(TORCH_INSTALLED): | $(INSTALLED)
	@echo "installing PyTorch $(TORCH_VERSION) for the tests of model_export (once)"
	@$(PIP) install --quiet --retries 1 -c requirements.lock \
	  $(addprefix --extra-index-url ,$(TORCH_INDEX)) torch==$(TORCH_VERSION) monai==$(MONAI_VERSION) \
	  || { test -z "$${CI:-}" || exit 1; echo "no PyTorch: the tests of model_export will be skipped"; }
	@touch $@
