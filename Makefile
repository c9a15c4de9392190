# Needs Python 3.11 or newer, git and make; everything else goes into .venv.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
WORKERS ?= 8
# Hundreds of processes start in a test run: none should compile the project anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install editor-tools demo test campaign lint reference lock bench clean

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(STAMP)  ## Create .venv with the locked dependencies and this project

$(STAMP): requirements.lock pyproject.toml
	@scripts/make-venv $(VENV)
	@touch $@

editor-tools:  ## Install the language server that the editor tests drive (needs npm)
	@npm ci --prefix tests/interop/editor --ignore-scripts --no-audit --no-fund --silent

demo: $(STAMP)  ## Run examples/train from YAML to verified artifacts on the embedded emulator
	@TRAIN_TOKEN=$${TRAIN_TOKEN:-demo-token} \
	  $(VENV)/bin/runpod-deploy apply examples/train/job.yaml --cloud emulator --yes
	@echo
	@$(VENV)/bin/runpod-deploy emulator pods

test: $(STAMP)  ## Run every test that needs no RunPod account
	@$(PY) -m pytest -n $(WORKERS) --dist worksteal -q

campaign: $(STAMP)  ## Kill a run after every line and resume it; every fault; 1,000 schedules of both (takes a while)
	@$(PY) tests/campaign/crash.py
	@$(PY) tests/campaign/faults.py --write
	@$(PY) tests/campaign/schedules.py --write

lint: $(STAMP)  ## ruff, mypy --strict and the import floors
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

reference: $(STAMP)  ## Write docs/reference anew from schemas, commands and lints
	@$(PY) scripts/write-reference-pages
	@$(PY) scripts/write-lints-page

lock:  ## Refresh requirements.lock (needs uv)
	uv pip compile -q pyproject.toml --group dev --generate-hashes --no-emit-index-url \
	  --no-header --universal --python-version 3.11 --upgrade -o requirements.lock

bench: $(STAMP)  ## Print our ratios against a peer measured in the same run
	@$(PY) benchmarks/everything.py $(if $(QUICK),--quick)

clean:  ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
