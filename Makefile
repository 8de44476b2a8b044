# Two commands matter: `make run` and `make test`. Both set up what they need, and are quick after.

BIN := .venv/bin
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.PHONY: help run test test-long lint frontend-check assets bench lock docs clean

help:
	@echo "make run        the service, its engines, the demo bank and its identity provider"
	@echo "make test       every check and every test"
	@echo "make test-long  the same with the long ones: more examples, kills, loads"
	@echo "make lint       formatting, lint, types, imports, frontend"
	@echo "make bench      rates as ratios to a bare loop"
	@echo "make assets     build the pages' script and style sheet into stepup/pages/static"
	@echo "make docs       write the generated pages of docs/"
	@echo "make lock       write the lock files in requirements/"

run: .venv/.installed
	$(BIN)/stepup dev

test: lint tests/strict_client/node_modules/.installed
	@.ci/system-packages
	$(BIN)/python -m pytest

test-long: lint tests/strict_client/node_modules/.installed
	@.ci/system-packages
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -m "long or not long"

lint: .venv/.installed
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	@report=$$($(BIN)/lint-imports --no-logo) || { echo "$$report"; exit 1; }
	@$(MAKE) --no-print-directory frontend-check

frontend-check: frontend/node_modules/.installed
	cd frontend && ../.ci/npm run --silent check

assets: frontend/node_modules/.installed
	cd frontend && ../.ci/npm run --silent build

bench: .venv/.installed
	$(BIN)/python -m tests.bench

docs: .venv/.installed
	$(BIN)/python -m tests.support.generated_docs

lock:
	$(LOCK) --extra dev --extra otel --output-file requirements/dev.txt pyproject.toml
	$(LOCK) --constraint requirements/dev.txt --extra server --extra embedded --extra pkcs11 --extra otel \
	  --output-file requirements/server.txt pyproject.toml
	$(LOCK) --constraint requirements/dev.txt --output-file requirements/base.txt pyproject.toml

clean:
	rm -rf .venv .build frontend/node_modules tests/strict_client/node_modules

.venv/.installed: requirements/dev.txt pyproject.toml .ci/python-environment
	@.ci/python-environment

frontend/node_modules/.installed: frontend/package-lock.json | .venv/.installed
	cd frontend && ../.ci/npm ci --silent
	@touch $@

# A client that others wrote, which the tests let loose on the service.
tests/strict_client/node_modules/.installed: tests/strict_client/package-lock.json | .venv/.installed
	cd tests/strict_client && ../../.ci/npm ci --silent
	@touch $@
