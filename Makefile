# `make run` and `make test` do everything on a machine that has only Python 3.11 or newer.
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
# One more than the cores: many tests wait for processes of their own.
WORKERS ?= 3

.PHONY: help run serve test chaos bench fmt lint types migrations-check clean

help:
	@echo "make run    the API, the HubSpot sandbox with demo data and an administrator; Ctrl-C ends all"
	@echo "make serve  the API alone, production server, on PORT, against HUBSPOT_BASE_URL"
	@echo "make test   every test that this machine can run"
	@echo "make chaos  what is slow and seldom finds anything: more kills, floods and disorder"
	@echo "make bench  HubSpot calls, throughput, hit rates, a flood of webhooks, measured here in minutes"
	@echo "make fmt lint types    the habit before a commit"

$(VENV)/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing (once)…"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing the tools for tests (once)…"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

run: $(VENV)/.installed
	@DEBUG=true $(BIN)/python manage.py run_demo --port $(PORT) $(ARGS)

serve: $(VENV)/.installed
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py collectstatic --noinput --verbosity 0
	@exec $(BIN)/python manage.py serve --host $(HOST) --port $(PORT)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

# ARGS='-k "some words"' for a part of it.
chaos: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m chaos -n $(WORKERS) --dist loadgroup $(ARGS)

fmt: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache

types: $(VENV)/.installed-dev
	$(BIN)/mypy

# On loopback, less than three minutes; ARGS=--quick for one, ARGS=--json for programs.
bench: $(VENV)/.installed
	@DEBUG=true $(BIN)/python manage.py benchmark $(ARGS)

clean:
	rm -rf $(VENV) .run .pytest_cache .mypy_cache .ruff_cache

migrations-check: $(VENV)/.installed-dev
	@DEBUG=true $(BIN)/python manage.py makemigrations --check --dry-run
