# Each target sets up what it needs: a virtual environment in .venv, and Debian packages where they are missing.
# Another Python than the first one found: make PYTHON=python3.13. Arguments for the program: make bench ARGS=--quick.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help run test check bench fuzz

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(INSTALLED) ## start the example: three nodes on this machine, and a page to publish and watch video
	@$(BIN)/python -m examples.sfu $(ARGS)

test: $(INSTALLED) ## run all tests, with real browsers and Erlang nodes, and on pure Python; or those of ARGS
	@PATH="$$PATH:/usr/sbin" .ci/packages erl:erlang-base epmd:erlang-base chromium:chromium sshd:openssh-server ssh:openssh-client
	@.ci/packages wireguard-go:wireguard-go wg:wireguard-tools ip:iproute2 || echo "pydist: going on without WireGuard" >&2
	@$(if $(ARGS),,PYDIST_PURE=1 $(BIN)/python -m pytest -q -m twin)
	@$(BIN)/python -m pytest $(ARGS)

check: $(INSTALLED) ## check format, lint, types and the import law
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/python -m pytest -q tests/test_layers.py

bench: $(INSTALLED) ## measure pydist, and the BEAM beside it where erl is there
	@.ci/packages erl:erlang-base || echo "pydist: going on without the BEAM" >&2
	@$(BIN)/python -m benchmarks $(ARGS)

fuzz: ## let atheris look for bytes that harm what reads them; or for one target, as in ARGS='terms -max_total_time=600'
	@test -x .venv-fuzz/bin/python || $(PYTHON) -m venv .venv-fuzz
	@.venv-fuzz/bin/python -m pip install --quiet --disable-pip-version-check 'atheris>=3' --editable .
	@.venv-fuzz/bin/python -m fuzz $(ARGS)

# In setuptools' "compat" mode the checkout is found by a plain path, which type checkers can follow.
# A .venv without pip is one that was begun and not finished, or whose Python is gone: it is made anew.
$(INSTALLED): pyproject.toml $(wildcard pydist/native/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "pydist needs Python 3.11 or newer, and '$(PYTHON)' is not: name another, as in: make PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		.ci/packages "python-with-venv:$$($(PYTHON) -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@{ command -v cc && $(PYTHON) -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")'; } >/dev/null 2>&1 || \
		.ci/packages cc:gcc "Python.h:$$($(PYTHON) -c 'import sys; print("python3.%d-dev" % sys.version_info[1])')" || \
		echo "pydist: going on without its C twin, at a fraction of the speed" >&2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[sfu,dev]' \
		--config-settings editable_mode=compat
	@touch $@
