# `make run` and `make test` do everything on a machine that has only Python 3.11 or newer.
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
# Thrice the usual two cores: many tests wait for processes of their own.
WORKERS ?= 6
# Tests start hundreds of processes; without compiled files each would compile the project anew.
unexport PYTHONDONTWRITEBYTECODE

# Python is there before pip: Ctrl-C between the two, or a Debian without python3-venv, leaves half.
HAS_PIP := $(BIN)/python -m pip --version >/dev/null 2>&1
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# For every platform, and the same wherever it is run: of the machine's own settings nothing counts.
LOCK := $(BIN)/uv --quiet --no-config pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.PHONY: help run serve test coverage conformance chaos slow-tests load bench alerts fire-alerts fmt lint types \
	migrations-check lock clean

help:
	@echo "make run    the API, the HubSpot sandbox with demo data and an administrator; Ctrl-C ends all"
	@echo "make serve  the API alone, production server, on PORT, against HUBSPOT_BASE_URL"
	@echo "make test   every test that this machine can run"
	@echo "make coverage       how much of the code the tests in this process and the sandbox's reach"
	@echo "make conformance    what the schema says against what the API does, by generated requests"
	@echo "make chaos  a deployment of its own, people at work and every fault at once, by seed"
	@echo "make slow-tests     what is slow and seldom finds anything: more kills, floods and disorder"
	@echo "make load   hundreds of users at once, and the old system beside this one; some minutes"
	@echo "make bench  what each operation costs beside the old system, and all else with a limit; minutes"
	@echo "make alerts what deploy/ tells Prometheus and Alertmanager, checked and tried by their own tools"
	@echo "make fire-alerts    each alert made to fire against a running deployment; half an hour"
	@echo "make fmt lint types    the habit before a commit"
	@echo "make lock   requirements.in and requirements-dev.in with all that they need, pinned and hashed"

$(VENV)/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	@$(HAS_PIP) || { echo "Making $(VENV)…"; $(PYTHON) -m venv --clear $(VENV); }
	@$(BIN)/python install.py requirements.txt --require-hashes
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@$(BIN)/python install.py requirements-dev.txt --require-hashes
	@touch $@

run: $(VENV)/.installed
	@DEBUG=true $(BIN)/python manage.py run_demo --port $(PORT) $(ARGS)

serve: $(VENV)/.installed
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py collectstatic --noinput --verbosity 0
	@exec $(BIN)/python manage.py serve --host $(HOST) --port $(PORT)

# On a fresh clone each worker would rewrite the assertions of all tests for itself, and wait for the
# others' processors meanwhile. A file that cannot be imported is told of by the run itself.
COLLECT := $(BIN)/python -m pytest --collect-only --quiet
REWRITE = @[ -d .pytest_cache ] || { $(COLLECT) tests/booking_api & \
	$(COLLECT) --ignore=tests/booking_api & wait; } >/dev/null 2>&1

# UNTRACED=1 for those that `make coverage` leaves out: the two are all of them, each once.
test: $(VENV)/.installed-dev
	$(REWRITE)
	$(BIN)/python -m pytest -n $(WORKERS) $(if $(UNTRACED),$(addprefix --ignore=,$(TRACED))) $(ARGS)

# Most of what these tests do happens in their own process; the sandbox's, and those of servers and
# commands that they start, are measured with it. Those of cached answers go where the others have
# been, and traced they take twice as long.
FOLDERS_TRACED := tests/booking_api tests/cache_layer tests/hubspot_sync
TRACED := $(filter-out tests/booking_api/cached_answers/ %/__pycache__/, \
	$(foreach each,$(FOLDERS_TRACED),$(wildcard $(each)/*/ $(each)/test_*.py)))

coverage: $(VENV)/.installed-dev
	@rm -rf .run/coverage && mkdir -p .run/coverage
	$(BIN)/python -m coverage run -m pytest -n $(WORKERS) $(TRACED) $(ARGS)
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report

conformance: $(VENV)/.installed-dev
	$(BIN)/python -m tests.conformance.run $(ARGS)

# ARGS='--seed 1 2 3', ARGS=--list, ARGS='--directed all --guards'; docs/how-to/run-chaos.md.
chaos: $(VENV)/.installed-dev
	$(BIN)/python -m tests.chaos.run $(ARGS)

# ARGS='-k "some words"' for a part of it.
slow-tests: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "chaos or drawn" -n $(WORKERS) $(ARGS)

# ARGS=--quick, ARGS='morning cold', ARGS='soak --soak-minutes 30'; docs/how-to/run-load.md.
load: $(VENV)/.installed-dev
	$(BIN)/python -m tests.load.run $(ARGS)

fmt: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache

types: $(VENV)/.installed-dev
	$(BIN)/mypy

BENCH_DATABASE = DATABASE_URL=sqlite:///$(CURDIR)/.run/bench.sqlite3

# On loopback, in some minutes, and writes the record; ARGS=--quick for less of it, ARGS=--check for counts
# alone, against the record. docs/benchmarks.md.
bench: $(VENV)/.installed
	@mkdir -p .run && rm -f .run/bench.sqlite3
	@DEBUG=true $(BENCH_DATABASE) $(BIN)/python manage.py migrate --verbosity 0
	@DEBUG=true $(BENCH_DATABASE) $(BIN)/python manage.py benchmark $(ARGS)

# By Debian's packages prometheus and prometheus-alertmanager.
alerts:
	promtool check config deploy/prometheus/prometheus.yml
	promtool check config --syntax-only deploy/compose/prometheus.yml
	promtool test rules deploy/prometheus/tests/*.yml
	amtool check-config deploy/alertmanager/alertmanager.yml

# ARGS='ServerDown JobsFail' for some of them; docs/runbooks/README.md has what was seen.
fire-alerts: $(VENV)/.installed-dev
	$(BIN)/python -m tests.alerts.live.run $(ARGS)

clean:
	rm -rf $(VENV) .run .pytest_cache .mypy_cache .ruff_cache

migrations-check: $(VENV)/.installed-dev
	@DEBUG=true $(BIN)/python manage.py makemigrations --check --dry-run

# By uv alone, since what is locked now may be what cannot be installed. ARGS=--upgrade takes the
# newest of what is not pinned by name.
lock:
	@$(HAS_PIP) || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install $$(grep '^uv==' requirements-dev.in)
	@$(LOCK) $(ARGS) --output-file requirements.txt requirements.in
	@$(LOCK) $(ARGS) --output-file requirements-dev.txt requirements-dev.in
