# Everything a newcomer needs: make run · make test · make check · make bench (make help lists them).
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
RUN ?=
T ?=
BENCH ?=
# The tests start some hundred Python processes; where this is set, each of them would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE
# CI=1: a test that would be skipped fails instead.
# Three processes on two cores, as tests on sockets wait a third of their time.
PYTEST := $(BIN)/python -m pytest $(if $(CI),--no-skip) $(if $(T),,--numprocesses 3 --no-loadscope-reorder)

.PHONY: help run test check bench clean
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' $(MAKEFILE_LIST)

run: $(STAMPS)/run  ## start the sandbox in the foreground; RUN='--base-port 9080' passes options on
	@exec $(BIN)/tongguan sandbox $(RUN)

test: $(STAMPS)/test  ## the whole suite; T='tests/journeys -x' chooses, CI=1 allows no skips
	@scripts/system-packages tests/packages.txt
	$(PYTEST) $(T)

check: $(STAMPS)/test $(STAMPS)/check  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(STAMPS)/bench  ## measure against other gateways; BENCH='--help' tells more
	@scripts/system-packages bench/packages.txt
	@if command -v npm >/dev/null; then npm ci --silent --prefix bench/peers/node; else echo "no npm: the Node peers are left out"; fi
	$(BIN)/python -m bench $(BENCH)

clean:  ## remove the environment and everything that was made
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './bench/peers/*' -prune -exec rm -rf {} +

$(STAMPS)/run: setup.cfg pyproject.toml scripts/environment
	@scripts/environment $(VENV) .
	@mkdir -p $(@D) && touch $@

$(STAMPS)/test $(STAMPS)/check $(STAMPS)/bench: $(STAMPS)/run
	@scripts/environment $(VENV) '.[$(@F)]'
	@touch $@
