# `make serve` draws on this machine within two minutes of a bare clone; it installs no torch.

PORT ?= 3000
VENV := .venv
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: serve
serve: $(VENV)/installed-serve
	@$(VENV)/bin/python ippo.py serve --port $(PORT)

# One environment for everything: whatever else is in it stays, and serves as well.
$(VENV)/installed-serve: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "Installing what serving needs: about a minute, once ..."
	@$(PIP) '.[serve]'
	@touch $@

$(VENV)/bin/pip:
	@test -n "$(PYTHON)" || { echo "ippo needs Python 3.11 or newer; name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)
