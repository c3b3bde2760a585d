# Everything a fresh machine needs is Python 3.11 or newer with venv, and make.
PYTHON ?= python3
PIP = .venv/bin/python -m pip --quiet --disable-pip-version-check

.PHONY: demo test test-clients test-backends fuzz bench image

demo: .venv/.run        ## set up, then show Sidelight at work, offline
	.venv/bin/sidelight demo

test: .venv/.dev        ## set up, then pass every check and test
	scripts/check

test-clients: .venv/.dev ## set up, then run published clients through Sidelight; writes docs/clients.md
	PATH="$(CURDIR)/.venv/bin:$$PATH" scripts/fetch-clients
	.venv/bin/python -m pytest -m clients tests/clients --write-table

test-backends: .venv/.dev ## set up, then tell real backends, and ask them what they were told
	scripts/fetch-model
	scripts/fetch-backends
	.venv/bin/python -m pytest -m backends tests/backends

fuzz: .venv/.dev         ## set up, then fuzz every byte-level reader for a while; what is found becomes a case
	$(PIP) install "atheris>=3"
	for target in sse streams bodies forms websocket_lengths websockets heads chunks exchange; do \
		.venv/bin/python tests/fuzz/run.py $$target $(or $(SECONDS),60) || exit 1; done

bench: .venv/.dev       ## set up, then measure side by side with nginx and a textbook proxy
	.venv/bin/python -m bench

image:                  ## build the container image
	docker build -t sidelight .

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sidelight needs Python 3.11 or newer; try make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

.venv/.run: .venv/bin/python requirements.lock pyproject.toml
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps -e .
	touch $@

.venv/.dev: .venv/bin/python requirements-dev.lock pyproject.toml
	$(PIP) install --require-hashes -r requirements-dev.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	touch $@ .venv/.run
