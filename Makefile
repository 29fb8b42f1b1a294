# `make demo` and `make test` need nothing but Python 3.11 and make; both set up .venv first.
.PHONY: demo test test-slow test-llama test-browser check format lint types layers lock docs clean
BIN := .venv/bin

demo: .venv/.ready
	$(BIN)/askonce demo $(ARGS)

test: .venv/.ready
	$(BIN)/pytest -n auto --dist loadscope $(ARGS)

test-slow: .venv/.ready
	$(BIN)/pytest -m slow -n auto $(ARGS)

# With a real LLM server, which the first run builds (minutes): not with the others, which need a Python alone.
test-llama: .venv/.ready
	server=$$($(BIN)/python scripts/build_llama_server.py) && ASKONCE_LLAMA_SERVER=$$server $(BIN)/pytest -m llama $(ARGS)

# Needs Chromium: `apt-get install chromium`, or ASKONCE_CHROMIUM says where one is.
test-browser: .venv/.ready
	$(BIN)/pytest -m browser $(ARGS)

check: lint types layers test

lint: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/.ready
	$(BIN)/mypy

layers: .venv/.ready
	$(BIN)/lint-imports

format: .venv/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/.ready
	$(BIN)/python scripts/config_reference.py

# Exact versions for the ranges in pyproject.toml, for all supported Pythons.
lock: .venv/.ready
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --no-emit-index-url --no-header --no-annotate \
		--extra demo --extra evaluate --extra otel --extra report --group dev pyproject.toml -o requirements.lock

.venv/.ready: requirements.lock pyproject.toml scripts/setup
	scripts/setup

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
