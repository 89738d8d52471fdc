# UnitBench: make run, make test. `make help` lists the rest.
CONFIG ?= config/default/simulated.yaml
RESULTS ?= results
PORT ?= 5000
# Through the environment, so that a name with a blank or a quote stays one word.
export CONFIG RESULTS PORT
WHAT = --config "$$CONFIG" --results "$$RESULTS"
BIN = .venv/bin
# Written last: a set-up that was cut off is done again.
READY = .venv/.ready
SCGPT = .venv-scgpt

.PHONY: help run resume board site bench gates lint test test-slow docs parity faults slurm-test scale clean

help:    ## this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 20

run: $(READY)    ## the whole benchmark; another one: make run CONFIG=config/default/her2st.yaml
	$(BIN)/unitbench run $(WHAT)

resume: $(READY)    ## go on after a run that was killed
	$(BIN)/unitbench run $(WHAT) --resume

board: $(READY)    ## open the MLflow leaderboard on 127.0.0.1
	$(BIN)/unitbench mlflow $(WHAT) --port "$$PORT"

site: $(READY)    ## the static site of all committed runs: results/site/index.html
	$(BIN)/unitbench site --out "$$RESULTS/site"

bench: $(READY)    ## measure how fast the methods of the config train
	$(BIN)/unitbench bench $(WHAT)

gates: $(READY)    ## the gates that take seconds: style, format, types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile
	$(BIN)/mypy

lint: gates docs    ## these gates, and the documentation

test: gates    ## these gates, then the tests, but for the slow ones
	$(BIN)/pytest -m 'not slow' -n 2 --dist loadfile --no-loadscope-reorder

test-slow: $(READY)    ## the tests that train, or run whole workflows again and again; minutes
	$(BIN)/pytest -m slow -n 2 --dist loadfile --no-loadscope-reorder

docs: $(READY)    ## the documentation, docs/_build/html/index.html; a warning is an error
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

parity: $(SCGPT)/.ready    ## our scGPT against the official package: largest differences, time of a step
	$(SCGPT)/bin/python -m pytest -W ignore tests/parity
	$(SCGPT)/bin/python -W ignore -m tests.parity.step_time

faults: $(READY)    ## the long campaign: kill a tiny run at random moments, delete each of its files; hours
	$(BIN)/python -m tests.faults.campaign --folder "$$RESULTS/faults"

slurm-test: $(READY)    ## a small run on a Slurm of one node, with faults; needs root, slurm-wlm and munge; 15 minutes
	$(BIN)/python -m tests.slurm.trial --folder "$$RESULTS/slurm"

scale: $(READY)    ## what size costs, for slides and corpora of a thousand to ten million spots; an hour, 30 GB of disk
	$(BIN)/python -m tests.scale.table --folder "$$RESULTS/scale"
	$(BIN)/python -m tests.scale.steps 1000000

clean:    ## remove the environments and Snakemake's notes; results stay
	rm -rf .venv $(SCGPT) .snakemake

# uv where it is on PATH, else pip. Both compile what they install: a run has many short processes.
# A .venv without the mark of a complete set-up is made from the start.
$(READY): pyproject.toml constraints.txt
	@[ -e $@ ] || rm -rf .venv; rm -f $@
	@if command -v uv >/dev/null; then \
		echo "setting up .venv with uv" && { [ -e .venv ] || uv venv --quiet --python '>=3.11' .venv; } && \
		uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev]'; \
	else \
		echo "setting up .venv with pip, minutes" && { [ -e .venv ] || python3 -m venv .venv; } && \
		$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'; \
	fi
	@touch $@

# The official package needs an older PyTorch and pins of its own. Methods that need the package run there too.
$(SCGPT)/.ready: envs/scgpt.yaml envs/scgpt.txt envs/scgpt.post-deploy.sh | $(READY)
	$(BIN)/unitbench make-environment scgpt
