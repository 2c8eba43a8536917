# `make help` lists the targets. PYTHON chooses the interpreter of the environment:
#   make setup PYTHON=python3.12
PYTHON ?= python3
SHELL := /bin/bash
.DEFAULT_GOAL := help

ENVIRONMENT := source scripts/env.sh
# Every test run talks on a DDS domain of its own, so that runs side by side do not hear each other.
DOMAIN := export ROS_DOMAIN_ID=$$(( $$$$ % 100 + 1 ))

.PHONY: help setup demo test lint format build clean faults soak

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## Set up .venv, ROS and the messages; nothing happens where nothing has changed
	@command -v $(PYTHON) >/dev/null || { echo "setup: $(PYTHON) was not found; give another: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) scripts/setup_environment.py

demo: setup ## Run the node on a built-in scene and show what it finds (ARGS="..." goes to msga demo)
	@$(ENVIRONMENT) && $(DOMAIN) && python -m msga_ros.cli demo $(ARGS)

JOBS ?= auto
test: setup ## Run the tests, a process a core, at most 4 (JOBS=1: one; ARGS="-k name" goes to pytest)
	@$(ENVIRONMENT) && $(DOMAIN) && OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} python -m pytest -n $(JOBS) --maxprocesses 4 --dist loadfile $(ARGS)

faults: setup ## Hurt the node in every way that is known; table in docs/reliability.md
	@$(ENVIRONMENT) && $(DOMAIN) && MSGA_FAULTS=all OMP_NUM_THREADS=1 python -m pytest test/faults $(ARGS)

FRAMES ?= 20000
soak: setup ## Send FRAMES small sets through the node in each mode (Ctrl-C ends it); table in docs/reliability.md
	@$(ENVIRONMENT) && $(DOMAIN) && OMP_NUM_THREADS=1 python benchmarks/soak.py --frames $(FRAMES) $(ARGS)

lint: setup ## Check style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: setup ## Put the code into the project's format
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

build: ## Build messages and package again, whether or not anything has changed
	@$(PYTHON) scripts/setup_environment.py --build

clean: ## Remove what was built and all caches; .venv stays
	rm -rf build install log .setup/build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -path ./.venv -prune -o -type d -name __pycache__ -print0 | xargs -0 rm -rf
