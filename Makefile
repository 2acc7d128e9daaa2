# Everything is one target away; each sets up what it needs.

PYTHON ?= python3
DATA ?= ./s3-data
PORT ?= 9000
WORKERS ?= 0
ROUNDS ?= 30
SEED ?= 1
BIN := .venv/bin
# one process more than there are cores: tests wait for servers and disks for a third of their time
AT_ONCE := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

.PHONY: serve quick test docs format lock compat torture bench clean help

help:  ## Show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

serve: $(BIN)/s3ish  ## Serve ./s3-data on 127.0.0.1:9000 (PORT=, DATA=, WORKERS=)
	@exec $(BIN)/s3ish serve "$(DATA)" --port $(PORT) --workers $(WORKERS)

quick: .venv/dev  ## Check format, lint and types, and run the fast tests: a few minutes on 2 cores
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -n $(AT_ONCE) -q -m "not slow"

test: .venv/dev  ## Check format, lint, types and tidiness, and run the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/pytest -n $(AT_ONCE)

docs: .venv/dev  ## Build the documentation site into ./site; a link that leads nowhere is an error
	$(BIN)/zensical build --strict

format: .venv/dev  ## Format the code and fix what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: .venv/dev  ## Renew the versions that CI installs
	$(BIN)/uv pip compile --universal --quiet --upgrade --no-header --no-emit-index-url --no-annotate \
		--all-extras pyproject.toml --output-file .ci/requirements.lock

compat: .venv/dev  ## Run stock S3 clients and programs against a server and write docs/compatibility.md and docs/programs.md
	$(BIN)/python compat/run.py
	$(BIN)/python -m compat.programs

torture: .venv/dev  ## Power cuts, crashes, faults, rot, races, crowds, endurance and fuzzing at length (as root; ROUNDS=, SEED=)
	for fs in ext4 xfs; do for more in "" "--volumes 3" "--workers 2"; do \
		$(BIN)/python -m tests.torture.powercut --fs $$fs --rounds $(ROUNDS) --seed $(SEED) $$more || exit 1; done; done
	$(BIN)/python -m tests.torture.linear --rounds $(ROUNDS) --workers 4 --kill 3 --seed $(SEED)
	$(BIN)/python -m tests.torture.linear --rounds $(ROUNDS) --workers 2 --volumes 3 --fail 1 --seed $(SEED)
	$(BIN)/python -m tests.torture.moving --rounds $(ROUNDS) --workers 4 --kill 3 --seed $(SEED)
	$(BIN)/python -m tests.torture.locking --rounds $(ROUNDS) --workers 4 --kill 3 --seed $(SEED)
	$(BIN)/python -m tests.torture.hanging
	$(BIN)/python -m tests.torture.listings --keys 20000 --workers 4 --kill --seed $(SEED)
	$(BIN)/python -m tests.torture.rot --damages 10000 --rebuilds 100 --seed $(SEED)
	$(BIN)/python -m tests.torture.crowds --failures 100000 --transfers 1000
	$(BIN)/python -m tests.torture.endurance --minutes 10 --seed $(SEED)
	$(BIN)/python -m tests.torture.week --minutes 10 --seed $(SEED)
	$(BIN)/python -m tests.sim.run --seeds $(ROUNDS) --seed $(SEED) --all 2
	$(BIN)/python -m tests.model.objects --seeds $(ROUNDS) --seed $(SEED)
	$(BIN)/python -m tests.sim.follow --seeds $(ROUNDS) --seed $(SEED)
	$(BIN)/python -m tests.torture.syscalls
	$(BIN)/python -m tests.fuzz.run --seconds 60 --requests 100000 --seed $(SEED)

bench: .venv/dev  ## Measure s3ish beside its limits and peers, and write docs/performance.md (needs wrk)
	$(BIN)/python -m compat.bench.run

clean:  ## Remove what the targets made, but never data
	rm -rf .venv compat/.envs .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist site .cache

.venv/pip: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "s3ish needs Python 3.11 or newer; say which with: make PYTHON=python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

$(BIN)/s3ish: .venv/pip
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/dev: .venv/pip .ci/requirements.lock
	$(BIN)/python -m pip install --quiet --requirement .ci/requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $(BIN)/s3ish $@
