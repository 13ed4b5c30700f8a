# Two commands set everything up on a machine that has only python3 with venv: make demo, make test.

PYTHON ?= python3
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := .venv/$(SCRIPTS)

.PHONY: demo tales test test-lowest test-newest check-exports check-sdist fuzz lint bench bench-quick bench-page bench-precision bench-scaling peers docs pictures tutorial outputs notebooks site format clean

demo: .venv/runs
	$(BIN)/darknet-py train tiny data/tales.txt --seed 1 --out backup/demo
	@echo
	@echo "--- what it writes:"
	@$(BIN)/darknet-py -q generate backup/demo --seed 1 --length 700 --temperature .5
	@echo "--- how well it predicts the tenth of the text that it has not seen:"
	@$(BIN)/darknet-py -q valid backup/demo data/tales.txt --val .1
	@$(BIN)/python tools/grammar.py bound data/tales.json
	@echo
	@echo "--- try next:"
	@echo "$(BIN)/darknet-py generate backup/demo --prompt 'Once ' --temperature .8"
	@echo "$(BIN)/darknet-py train tiny YOUR_TEXT.txt && $(BIN)/darknet-py generate backup"

# The trained network that comes with the package, data/tales.weights: on the machine that made it
# 0.5146 nats per byte of the held-out text, of which 0.4325 cannot be known.
tales: .venv/runs
	mkdir -p backup/tales && cp cfg/tiny-gru.cfg backup/tales/tales.cfg
	$(BIN)/darknet-py train backup/tales/tales.cfg data/tales.txt --seed 1 --batches 6000 \
	  --precision f32 --out backup/tales/run
	cp backup/tales/run/tales_best.weights data/tales.weights
	cp backup/tales/run/tales.cfg data/tales.cfg

# On all processors; TESTS=tests/test_cfg.py, or -k and so on, for a part.
test: .venv/tests
	$(BIN)/python -m pytest -n auto --dist worksteal $(TESTS)

# The tests with the lowest and with the newest versions that pyproject.toml allows.
test-lowest: RESOLUTION = lowest-direct
test-newest: RESOLUTION = highest
test-lowest test-newest: test-%:
	$(PYTHON) -m venv --clear .venv-$*
	.venv-$*/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check uv
	.venv-$*/$(SCRIPTS)/python -m uv pip install --quiet --python .venv-$* \
	  --resolution $(RESOLUTION) -e '.[test]'
	.venv-$*/$(SCRIPTS)/python -m pytest -n auto --dist worksteal $(TESTS)

# Many more cases than the tests try; how many of each kind is printed at the end.
fuzz: .venv/tests
	FUZZ_CASES=100000 $(BIN)/python -m pytest -s tests/test_fuzz.py \
	  tests/test_c_exact.py::test_training_log_and_weights \
	  tests/test_tools_grammar.py::test_the_shipped_text_is_reproduced_and_has_its_figures

lint: .venv/tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: .venv/tests
	$(BIN)/python -m tools.make_docs

format: .venv/tests
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# The drawings, and what the tutorial shows of a real run; the latter needs a browser.
pictures: .venv/tests
	$(BIN)/python -m tools.draw

tutorial: pictures
	$(BIN)/python -m tools.make_tutorial

# The tutorial and how-it-works as notebooks, executed.
notebooks: .venv-notebooks/done
	PATH="$(CURDIR)/.venv-notebooks/$(SCRIPTS):$$PATH" .venv-notebooks/$(SCRIPTS)/python -m tools.make_notebooks

.venv-notebooks/done: pyproject.toml
	$(PYTHON) -m venv .venv-notebooks
	.venv-notebooks/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check -e '.[fast,plot]' nbclient ipykernel
	@touch $@

# What the commands on the pages print; PAGES=docs/lists.md for a part.
outputs: .venv/tests
	$(BIN)/python -m tools.make_outputs $(PAGES)

# The documentation as a site, in build/site/html. A broken link is an error, and so is a style, script
# or picture of another server.
site: .venv/runs .venv-site/done
	rm -rf build/site
	mkdir -p build/site
	cp -R docs build/site/docs
	mv build/site/docs/zensical.toml build/site
	mkdir build/site/docs/try
	$(BIN)/darknet-py -q export tales build/site/docs/try/tales.html
	.venv-site/$(SCRIPTS)/zensical build --strict -f build/site/zensical.toml
	! grep -rEo '(<(link|script|img|iframe|source)[^>]* (href|src)=|url\(|@import )["'\'']?(https?:)?//[^>)]*' \
	  build/site/html --include='*.html' --include='*.css'

.venv-site/done:
	$(PYTHON) -m venv .venv-site
	.venv-site/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check zensical==0.0.73
	@touch $@

bench-scaling: .venv/tests
	$(BIN)/python -m benchmarks.bench_scaling --write benchmarks/scaling.md

# The benchmark compares with PyTorch, which has a separate environment.
bench: .venv/tests .venv-torch/done
	$(BIN)/python -m benchmarks.bench --torch .venv-torch/bin/python --write docs/benchmarks.md \
	  --history benchmarks/history.jsonl

bench-quick: .venv/tests .venv-torch/done
	$(BIN)/python -m benchmarks.bench --torch .venv-torch/bin/python --quick

# Losses with f32 and bf16: an hour of one core.
bench-precision: .venv/tests
	$(BIN)/python -m benchmarks.bench_precision $(TEXT)

# A page of the network `shakespeare`, in a browser.
bench-page: .venv/tests
	$(BIN)/python -m benchmarks.bench_page

# What `export` writes for PyTorch, run by PyTorch.
check-exports: .venv/tests .venv-torch/done
	DARKNET_TORCH_PYTHON=.venv-torch/bin/python $(BIN)/python -m pytest \
	  tests/test_exporting_torch.py tests/test_docs_adding_a_layer.py

# The source distribution unpacked, in a new environment, and some of its tests.
check-sdist: .venv/tests
	rm -rf build/sdist
	mkdir -p build/sdist
	$(BIN)/python -m build --sdist --outdir build/sdist .
	cd build/sdist && tar -xzf darknet_py-*.tar.gz && rm darknet_py-*.tar.gz && mv darknet_py-* unpacked
	$(MAKE) -C build/sdist/unpacked test \
	  TESTS="tests/test_architecture.py tests/test_api.py tests/test_cfg.py tests/test_docs.py tests/test_weights.py"

# PyTorch's networks in the time of the recipes, each with its best rate: about two hours.
peers: .venv-torch/done
	.venv-torch/bin/python benchmarks/train_torch.py gru,lstm,rnn $(TEXT) --widths 256 512 \
	  --search --results peers.jsonl
	.venv-torch/bin/python benchmarks/train_torch.py transformer $(TEXT) --search --results peers.jsonl

.venv-torch/done:
	$(PYTHON) -m venv .venv-torch
	.venv-torch/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 numpy
	@touch $@

.venv/runs: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/tests: pyproject.toml .venv/runs
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

clean:
	rm -rf .venv .venv-notebooks .venv-site .venv-torch .venv-lowest .venv-newest build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
