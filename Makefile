# One command each. `make run` starts the portal (the demo, where there is no .env), `make test` the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_QUIET := --quiet --disable-pip-version-check

.PHONY: run test sure format words bench clean

run: $(VENV)/run
	@if [ -f .env ]; then $(BIN)/python app.py; else $(BIN)/python app.py --demo; fi

# Each test of the database runs on SQLite or on PostgreSQL, by turns, and Hypothesis tries a quarter of its examples;
# `make sure` has both and all. `make test T=tests/attendance` runs a part.
T := tests
PYTEST := $(BIN)/pytest -n auto --dist worksteal --durations=10
NONE_IS_FINE = $(if $(filter-out tests,$(T)),|| [ $$? -eq 5 ])
FULL := --databases both --hypothesis-profile full

# The browser's stories have the machine to themselves: they wait for a server and a browser of their own.
test: $(VENV)/dev
	$(PYTEST) -m "not browser" $(T) $(NONE_IS_FINE)
	$(PYTEST) -m browser $(T) $(NONE_IS_FINE)

sure: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive portal app.py --configfile pyproject.toml
	$(BIN)/djlint templates portal/sandbox/templates --lint --quiet
	$(PYTEST) $(FULL) -m "not browser"
	$(PYTEST) $(FULL) -m browser

format: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# After a sentence was added or changed: it appears in the catalogue, to be translated; run it again then, to compile.
WORDS := portal/translations
words: $(VENV)/dev
	$(BIN)/pybabel --quiet extract --mapping babel.cfg --keywords _l --no-location --sort-output --no-wrap \
		--output $(WORDS)/messages.pot .
	$(BIN)/pybabel --quiet update --input-file $(WORDS)/messages.pot --output-dir $(WORDS) --no-wrap \
		--no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date
	$(BIN)/pybabel --quiet compile --directory $(WORDS)
	@rm $(WORDS)/messages.pot

bench: $(VENV)/dev
	$(BIN)/python -m bench

# uv installs the same pinned packages some ten times faster; pip is enough.
$(VENV)/run: requirements.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the portal's packages ..."
	@if command -v uv >/dev/null 2>&1; then uv pip install --quiet --python $(BIN)/python -r requirements.txt; \
	else $(BIN)/python -m pip install $(PIP_QUIET) -r requirements.txt; fi
	@touch $@

$(VENV)/dev: requirements.txt requirements-dev.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the portal's packages and the tests' ..."
	@if command -v uv >/dev/null 2>&1; then uv pip install --quiet --python $(BIN)/python -r requirements-dev.txt; \
	else $(BIN)/python -m pip install $(PIP_QUIET) -r requirements-dev.txt; fi
	@touch $@ $(VENV)/run

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
