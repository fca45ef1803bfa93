# Each target sets up what it needs, once; `make` lists them. ARGS goes on to the command behind a target.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv/.ready
DEVNET := tests/devnet/evm
CHAINS := $(DEVNET)/node_modules/.ready
SDKS := tests/devnet/sdk/.build/.ready

.PHONY: help demo test coverage check fix storm bench bench-sync audit sbom lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(VENV) ## Index recorded chains, show account health, serve it; no network, no key (ARGS=--no-serve ends)
	@.venv/bin/crossmargin demo $(ARGS)

# The tests start hundreds of processes; where the environment forbids to keep bytecode, each would compile all that it imports.
test coverage: export PYTHONDONTWRITEBYTECODE :=

test: $(VENV) $(CHAINS) $(SDKS) ## Run every test, on up to four cores (ARGS="-k reorg" picks some)
	@.venv/bin/pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

coverage: $(VENV) $(CHAINS) $(SDKS) ## Run every test and list the branches that none takes
	@.venv/bin/pytest --cov --cov-report=term-missing $(ARGS)

check: $(VENV) ## Check format, lint, types, import rules and dependencies
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo
	@.venv/bin/deptry .

fix: $(VENV) ## Format, and mend what lint can mend
	@.venv/bin/ruff check --fix --quiet . || true
	@.venv/bin/ruff format .

storm: $(VENV) $(CHAINS) ## Weather seeded storms of faults, reorgs and kills (ARGS="--seeds 50"); a failed seed says how to repeat it
	@.venv/bin/python -m tests.simulation.storm $(ARGS)

bench: $(VENV) ## Measure, beside the peers
	@.venv/bin/python -m bench $(ARGS)

bench-sync: $(VENV) $(CHAINS) ## Index generated chains, beside other indexers (ARGS=--quick takes a minute; --help)
	@.venv/bin/python -m bench.sync $(ARGS)

audit: $(VENV) ## Look for known vulnerabilities in every pinned dependency
	@scripts/audit

sbom: $(VENV) ## Write the bill of materials of what runs (ARGS=FILE; default dist/crossmargin.cdx.json)
	@scripts/audit sbom $(ARGS)

lock: $(VENV) ## Pin the dependencies of pyproject.toml anew (ARGS=--upgrade moves every pin)
	@scripts/lock $(ARGS)

clean: ## Remove everything that the targets made
	@rm -rf .venv .audit .bench $(DEVNET)/node_modules $(DEVNET)/.build tests/devnet/sdk/.build tests/devnet/sdk/node/node_modules dist htmlcov .coverage .coverage.* \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV): pyproject.toml requirements-setup.lock requirements-dev.lock scripts/setup-venv
	@scripts/setup-venv
	@touch $@

$(CHAINS): $(DEVNET)/package-lock.json
	@command -v npm >/dev/null || { echo "The tests run local chains from npm packages: install Node.js 20 or newer with npm." >&2; exit 1; }
	@echo "Setting up $(DEVNET)/node_modules …" >&2
	@cd $(DEVNET) && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

$(SDKS): $(VENV) tests/devnet/sdk/environments.py tests/devnet/sdk/python/requirements.lock tests/devnet/sdk/node/package-lock.json
	@echo "Setting up tests/devnet/sdk/.build …" >&2
	@.venv/bin/python -m tests.devnet.sdk.environments
	@touch $@
