# One command per habit; `make` alone lists them. Each target's line of help is the comment behind it.

# Any Python from 3.11 on: make test PYTHON=python3.12
PYTHON ?= python3
# What else to tell the tool: make test ARGS="-k window", make start ARGS="--hosts 2"
ARGS ?=

RUN := .venv/bin/python
# What our commands read and print is UTF-8, whatever the locale.
export PYTHONUTF8 := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo start map approve test chaos bench lint format hooks package flow-solution console-pictures lock audit clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Set up .venv and .tools (the others do it by themselves)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is missing or older than Python 3.11. Install one, or name it: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
		exit 1; }
	@$(PYTHON) dev/setup.py

demo: setup ## Run the main job for real, on this machine, and check it; ends by itself
	@$(RUN) -m dev.demo $(ARGS)

start: setup ## Run the same stack and keep it up, with a ready curl line; Ctrl-C ends it
	@$(RUN) -m dev.start $(ARGS)

map: setup ## Show what a payload becomes, and why: make map FILE=payload.json [SOURCE=splunk]
	@$(RUN) -m dev.map $(if $(FILE),"$(FILE)") $(if $(SOURCE),source=$(SOURCE)) $(ARGS)

approve: setup ## Review what the payloads in tests/mappings become: make approve [ARGS="--all splunk"]
	@$(RUN) -m tests.checks.approve $(ARGS)

test: setup ## Run every test, three at once [ARGS="-k window", ARGS="-n0" for one]
	@$(RUN) -m pytest -n 3 --dist worksteal $(ARGS)

chaos: setup ## Let everything fail, one after the other, and see that nothing is lost (18 minutes) [ARGS="--only table"]
	@$(RUN) -m dev.chaos $(ARGS)

bench: setup ## Measure against floors: make bench [BENCH=quick] [ONLY="paths load"]
	@-$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@$(RUN) -m bench $(if $(filter quick,$(BENCH)),--quick) $(ONLY)

lint: setup ## Check style and types: ruff, mypy
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy

format: setup ## Write the code in the house style
	@$(RUN) -m ruff format .
	@$(RUN) -m ruff check --fix .

hooks: setup ## Let git run the checks before each commit and push
	@$(RUN) -m pre_commit install --hook-type pre-commit --hook-type pre-push

package: setup ## Build the packages that Azure installs, into dist/ [ARGS="--python 3.12"]
	@$(RUN) -m dev.package $(ARGS)

flow-solution: setup ## Build the solutions that Power Platform imports, into dist/
	@$(RUN) -m dev.flow_solution $(ARGS)

console-pictures: setup ## Take the pictures that the docs show
	@$(RUN) -m tests.checks.pictures
	@$(RUN) -m tests.checks.workbook

lock: setup ## Write the newest dependencies of the app, with their hashes, into requirements-3.NN.lock
	@$(RUN) -m dev.lock

audit: setup ## Ask whether a locked dependency has a known vulnerability
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-audit.txt
	@for lock in requirements-3.*.lock; do $(RUN) -m pip_audit --disable-pip --require-hashes -r $$lock || exit 1; done

clean: ## Remove what setup made
	rm -rf .venv .tools
