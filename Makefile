# One command each. "make" alone lists them; no configuration is needed.
#
# Two environments, one source (see requirements.txt):
#   .venv-tf1/   Python 3.7         TensorFlow 1.15, the reference; taken whenever a Python 3.7 is found
#   .venv-tf2/   Python 3.8 - 3.13  TensorFlow 2 in graph mode
# PYTHON=python3.11 or PYTHON=/path/to/python forces one.

PYTHON ?=
export WANTED_PYTHON = $(PYTHON)

# Extra arguments, handed on as they are: make demo GAN_ARGS='MAX_STEPS=20 BATCH_SIZE=1'
PHANTOM_ARGS ?=
PATCH_ARGS ?=
SIM_ARGS ?=
GAN_ARGS ?=
SEG_ARGS ?=
TRACE_ARGS ?=
FIG_ARGS ?=
PAPER_ARGS ?=
ATTACK_ARGS ?=
RUN_ARGS ?=
TEST_ARGS ?=

# Settings of the user's shell that would mix other packages into the environments.
unexport PYTHONPATH PYTHONHOME PYTHONSAFEPATH PIP_TARGET PIP_PREFIX
export PIP_USER = 0
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help env demo run test lint attack figures gallery compare paper universal bench python clean distclean

help:
	@echo 'make env        make both environments, .venv-tf1 (TensorFlow 1.15) and .venv-tf2, where possible'
	@echo 'make demo       run the whole pipeline, small, on a phantom it draws itself; needs no data, no GPU'
	@echo 'make run        all steps on your own stacks: make run STACKS=folder, with settings found from them (docs/run.md); DRY_RUN=True'
	@echo 'make test       run the tests'
	@echo 'make lint       check the style of the code (ruff, requirements-dev.txt)'
	@echo 'make attack     bad input, kills, races and full disks on every script (docs/attack.md); ATTACK_ARGS='\''SEED=7 SHORT=True'\'''
	@echo 'make figures    redraw the figures from the results on disk'
	@echo 'make gallery    one page with the figures, tables and commands on disk, results/index.html'
	@echo 'make compare    train and score segmentation networks; REAL=, LABELLED=, ANNOTATION= give the data, else the phantom'
	@echo 'make paper      the paper'\''s experiment: raw drafts, SimGAN, MPGAN; data as for compare, hours; else small, the phantom; ARMS= some of it'
	@echo 'make universal  draw kinds of drafts at random, train the network for a first try, score it; hours'
	@echo 'make bench      run every script in tests/benchmarks'
	@echo 'make python     print the Python that would be taken; makes nothing'
	@echo 'make clean      remove caches and both environments; data/, runs/ and results/ stay'
	@echo 'make distclean  the same, and data/demo, runs/demo*, results/demo'
	@echo 'Add PYTHON=python3.11 (or a path) to force a Python: 3.7 takes TensorFlow 1.15, 3.8 - 3.13 TensorFlow 2.'
	@echo 'Add PHANTOM_ARGS=, PATCH_ARGS=, SIM_ARGS=, GAN_ARGS=, SEG_ARGS=, TRACE_ARGS=, FIG_ARGS=, PAPER_ARGS=, ATTACK_ARGS=, RUN_ARGS= or TEST_ARGS= to pass arguments on.'

env:
	@eval "$$FUNCTIONS"; make_both

demo:
	@eval "$$FUNCTIONS"; take && start=$$(date +%s) && \
	step "$$py" -m utils.simulate.phantom OUTPUT=data/demo/phantom $(PHANTOM_ARGS) && \
	step "$$py" prepare_patches.py --config configs/demo/prepare_patches.py \
	    STACKS=data/demo/phantom/images OUTPUT=data/demo/patches $(PATCH_ARGS) && \
	step "$$py" 1_simulator.py --config configs/demo/simulator.py \
	    PRIORS=data/demo/patches/priors.json OUTPUT=data/demo/simulated $(SIM_ARGS) && \
	step "$$py" 2_mpgan.py --config configs/demo/mpgan.py REAL_PATCHES=data/demo/patches/real.h5 \
	    DRAFTS=data/demo/simulated RUN_DIR=runs/demo OUTPUT=data/demo/refined $(GAN_ARGS) && \
	step "$$py" 1_simulator.py --config configs/demo/paper_drafts.py \
	    PRIORS=data/demo/patches/priors.json OUTPUT=data/demo/paper_drafts $(SIM_ARGS) && \
	step "$$py" 2_mpgan.py --config configs/demo/mpgan.py REAL_PATCHES=data/demo/patches/real.h5 WHOLE_STACKS=False \
	    DRAFTS=data/demo/paper_drafts RUN_DIR=runs/demo_refining OUTPUT=data/demo/paper_refined MAX_STEPS=1200 \
	    DECAY_STEPS=200 $(GAN_ARGS) && \
	step "$$py" 3_segmentation.py --config configs/demo/segmentation.py $(SEG_ARGS) && \
	step "$$py" 3_segmentation.py --config configs/demo/segmentation.py STAGE=predict $(SEG_ARGS) && \
	step "$$py" 4_reconstruction.py --config configs/demo/reconstruction.py $(TRACE_ARGS) && \
	step "$$py" make_figures.py --config configs/demo/figures.py $(FIG_ARGS) && \
	step "$$py" make_figures.py --config configs/demo/figures.py FIGURES=gallery && \
	echo "demo: done in $$(($$(date +%s) - start)) s"

# STACKS= and the others as given on the command line, which make puts into the recipe's environment: whatever
# letters a folder's name has. NAME is no setting of the user's shell (WSL sets one).
run:
	@eval "$$FUNCTIONS"; take && "$$py" -m utils.run $(foreach name,STACKS PATCH_ARGS SIM_ARGS GAN_ARGS SEG_ARGS \
	    TRACE_ARGS FIG_ARGS,$(if $($(name)),"$(name)=$$$(name)")) $(foreach name,NAME DRY_RUN CHANNEL,$(if \
	    $(filter command,$(origin $(name))),"$(name)=$$$(name)")) $(RUN_ARGS)

test:
	@eval "$$FUNCTIONS"; take && \
	step "$$py" -m pytest tests -q --ignore=tests/benchmarks -n 2 --dist loadfile $(TEST_ARGS)

lint:
	@eval "$$FUNCTIONS"; take && \
	{ "$$py" -m ruff --version >/dev/null 2>&1 || "$$py" -m pip install --quiet -r requirements-dev.txt; } && \
	step "$$py" -m ruff check .

attack:
	@eval "$$FUNCTIONS"; take && step "$$py" -m tests.attack $(ATTACK_ARGS)

figures:
	@eval "$$FUNCTIONS"; take && step "$$py" make_figures.py $(FIG_ARGS)

gallery:
	@eval "$$FUNCTIONS"; take && step "$$py" make_figures.py FIGURES=gallery $(FIG_ARGS)

compare:
	@eval "$$FUNCTIONS"; take && step "$$py" tests/benchmarks/comparison.py \
	    $(if $(REAL),REAL='$(REAL)') $(if $(LABELLED),LABELLED='$(LABELLED)') \
	    $(if $(ANNOTATION),ANNOTATION='$(ANNOTATION)') $(SEG_ARGS)

paper:
	@eval "$$FUNCTIONS"; take && step "$$py" tests/benchmarks/paper.py \
	    $(if $(REAL),REAL='$(REAL)') $(if $(LABELLED),LABELLED='$(LABELLED)') \
	    $(if $(ANNOTATION),ANNOTATION='$(ANNOTATION)') $(if $(ARMS),ARMS='$(ARMS)') \
	    $(if $(DRAFT_ARGS),DRAFT_ARGS='$(DRAFT_ARGS)') $(PAPER_ARGS)

universal:
	@eval "$$FUNCTIONS"; take && step "$$py" tests/benchmarks/universal.py --config configs/universal.py $(SEG_ARGS)

bench:
	@eval "$$FUNCTIONS"; bench

python:
	@eval "$$FUNCTIONS"; choose && echo "$$env: Python $$version, $$python"

clean:
	rm -rf .venv-tf1 .venv-tf2 .pytest_cache
	find . \( -path ./.git -o -path ./data -o -path ./runs -o -path ./results \) -prune \
	    -o -type d -name __pycache__ -prune -exec rm -rf {} +

distclean: clean
	rm -rf data/demo runs/demo runs/demo_segmentation runs/demo_compare runs/demo_paper runs/demo_panel runs/demo_refining runs/demo_universal results/demo

# The recipes' shell functions (POSIX sh; $$ is make's way to write $). Two groups: find a Python, make
# its environment. They hand back: python (a path), minor (11 of 3.11), version, env (folder), py (its Python).
define FUNCTIONS
fail() { echo "make: $$*" >&2; return 1; }

# A home folder that cannot be written: matplotlib's settings and cache go to the environment (else it complains
# at each start).
settle() { [ -w "$${HOME:-/}" ] || [ -n "$${MPLCONFIGDIR-}" ] || export MPLCONFIGDIR="$$PWD/$$env/matplotlib"; }

step() { printf '\n$$ %s\n' "$$*"; "$$@"; }

# --- find a Python ---

# Prints "MINOR VERSION PATH". Fails where no environment can be made: no venv or no ensurepip (Debian splits
# them off), 3.7 on a machine without TensorFlow 1.15 wheels. The path is the real file: not a shim, not a link
# inside an environment that is about to be made again.
probe='import sys, os, platform, venv, ensurepip
major, minor = sys.version_info[:2]
assert major == 3 and 7 <= minor <= 13
assert minor > 7 or sys.platform != "darwin" and platform.machine() in ("x86_64", "AMD64")
print("%d %s %s" % (minor, platform.python_version(), os.path.realpath(sys.executable)))'

# try FILE [MINOR]: a candidate counts only if it runs, so a pyenv shim that refuses does not.
try() {
    found=$$("$$1" -c "$$probe" 2>/dev/null </dev/null) || return 1
    minor=$${found%% *}; found=$${found#* }
    version=$${found%% *}; python=$${found#* }
    if [ "$$minor" = 7 ]; then env=.venv-tf1; else env=.venv-tf2; fi
    [ "$${2:-$$minor}" = "$$minor" ]
}

# find_minor MINOR: on PATH (every folder of it), then in pyenv's versions, then in conda's environments.
find_minor() {
    wanted=$$1
    old_ifs=$$IFS; IFS=:; set -f; set -- $$PATH; set +f; IFS=$$old_ifs
    for folder in "$$@"; do
        try "$$folder/python3.$$wanted" "$$wanted" && return 0
    done
    for root in "$$PYENV_ROOT" "$$(pyenv root 2>/dev/null)" "$$HOME/.pyenv"; do
        for file in "$$root"/versions/3."$$wanted".*/bin/python3."$$wanted"; do
            try "$$file" "$$wanted" && return 0
        done
    done
    conda=$${CONDA_EXE:-conda}
    command -v "$$conda" >/dev/null 2>&1 || return 1
    base=$$("$$conda" info --base 2>/dev/null)
    for file in "$$base"/envs/*/bin/python3."$$wanted" "$$base/bin/python3.$$wanted"; do
        try "$$file" "$$wanted" && return 0
    done
    old_ifs=$$IFS
    IFS='
'
    set -f; set -- $$("$$conda" env list 2>/dev/null | sed -n 's|^[^#/]*/|/|p'); set +f; IFS=$$old_ifs
    for folder in "$$@"; do
        try "$$folder/bin/python3.$$wanted" "$$wanted" && return 0
    done
    return 1
}

find_tf2() {
    try python3 && [ "$$minor" != 7 ] && return 0
    for n in 13 12 11 10 9 8; do
        find_minor "$$n" && return 0
    done
    return 1
}

# find_forced NAME: a path, a command, or a bare version.
find_forced() {
    case $$1 in 3.*) set -- "python$$1" ;; esac
    try "$$1" && return 0
    case $$1 in
        python3.[0-9]|python3.[0-9][0-9]) find_minor "$${1#python3.}" && return 0 ;;
    esac
    seen=$$("$$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null </dev/null)
    case $$seen in
        '') fail "PYTHON=$$1 does not run here; name another (a command such as python3.11, or a path), or leave PYTHON= away" ;;
        3.7) fail "PYTHON=$$1: this Python 3.7 cannot be used (TensorFlow 1.15 needs x86-64 Linux; venv and ensurepip must be there); name another" ;;
        3.8|3.9|3.10|3.11|3.12|3.13) fail "PYTHON=$$1 cannot make environments: venv or ensurepip is missing; install python$$seen-venv, or name another" ;;
        *) fail "PYTHON=$$1 is Python $$seen; TensorFlow needs 3.7 or 3.8 - 3.13; name another, for example PYTHON=python3.11" ;;
    esac
}

no_python() {
    fail "no usable Python found: install any of 3.8 - 3.13 (or 3.7 on x86-64) with its venv package, for example 'pyenv install 3.11', or name one: PYTHON=/path/to/python"
}

# choose: the forced Python; else 3.7; else python3; else any from 3.13 down to 3.8.
choose() {
    if [ -n "$$WANTED_PYTHON" ]; then
        find_forced "$$WANTED_PYTHON"
    else
        find_minor 7 || find_tf2 || no_python
    fi
}

# --- make its environment ---

# ready ENV [MINOR]: ENV was finished, from this very requirements.txt, and still runs.
# The stamp is written last, so an install that was broken off has none.
ready() {
    [ -f "$$1/stamp" ] || return 1
    { read -r made_from; read -r made_of; } <"$$1/stamp" || return 1
    [ "$$made_from" = "requirements $$(cksum <requirements.txt)" ] || return 1
    now=$$("$$1/bin/python" -c 'import sys; print("Python %d.%d" % sys.version_info[:2])' 2>/dev/null) || return 1
    [ -z "$${2-}" ] || [ "$$now" = "Python 3.$$2" ] || return 1
    case $$made_of in "$$now".*) ;; *) return 1 ;; esac
}

build() {
    if [ -t 1 ]; then quiet=; else quiet=--quiet; fi
    echo "$$env: installing requirements.txt for Python $$version (some minutes, about 1.5 GB)"
    rm -rf "$$env" &&
    "$$python" -m venv "$$env" &&
    "$$env/bin/python" -m pip install $$quiet 'pip>=20.3' &&
    "$$env/bin/python" -m pip install $$quiet -r requirements.txt &&
    tensorflow=$$("$$env/bin/python" -m pip show tensorflow tensorflow-gpu 2>/dev/null | sed -n 's/^Version: //p') &&
    printf 'requirements %s\nPython %s, TensorFlow %s\n' "$$(cksum <requirements.txt)" "$$version" \
        "$${tensorflow:-not installed}" >"$$env/stamp.partial" &&
    mv "$$env/stamp.partial" "$$env/stamp" &&
    ready "$$env" "$$minor" ||
    fail "$$env was not finished (the reason is above); run the same command again, or force another Python, for example PYTHON=python3.11"
}

ensure() {
    ready "$$env" "$$1" || build || return 1
    py=$$env/bin/python
    settle
    echo "Using $$made_of ($$env)"
}

# take: an environment to work in, made if need be. A finished one is kept as it is unless a Python is forced.
take() {
    if [ -z "$$WANTED_PYTHON" ] && ready .venv-tf1 7; then
        env=.venv-tf1; ensure 7
    elif [ -n "$$WANTED_PYTHON" ]; then
        choose && ensure "$$minor"
    elif find_minor 7; then
        ensure 7
    elif ready .venv-tf2; then
        env=.venv-tf2; ensure
    else
        choose && ensure "$$minor"
    fi
}

make_both() {
    forced=
    if [ -n "$$WANTED_PYTHON" ]; then
        choose && ensure "$$minor" || return 1
        forced=$$env
    fi
    made=$$forced; failed=
    if [ "$$forced" != .venv-tf1 ]; then
        if ready .venv-tf1 7 || find_minor 7; then
            env=.venv-tf1; if ensure 7; then made="$$made $$env"; else failed=1; fi
        else
            echo 'Skipped .venv-tf1: no Python 3.7 that runs was found (PATH, pyenv, conda); TensorFlow 2 does the same work'
        fi
    fi
    if [ "$$forced" != .venv-tf2 ]; then
        if ready .venv-tf2 || find_tf2; then
            if ready .venv-tf2; then minor=; fi
            env=.venv-tf2; if ensure "$$minor"; then made="$$made $$env"; else failed=1; fi
        else
            echo 'Skipped .venv-tf2: no Python 3.8 - 3.13 with venv and ensurepip was found'
        fi
    fi
    [ -z "$$failed" ] || return 1
    [ -n "$$made" ] || no_python
}

bench() {
    set --
    for file in tests/benchmarks/*.py; do
        case $$file in */_*|*/conftest.py|*'/*.py') ;; *) set -- "$$@" "$$file" ;; esac
    done
    [ $$# -gt 0 ] || { echo 'bench: no scripts in tests/benchmarks'; return 0; }
    take || return 1
    bad=
    for file in "$$@"; do
        step "$$py" "$$file" || { echo "bench: $$file failed" >&2; bad="$$bad $$file"; }
    done
    [ -z "$$bad" ] || fail "failed:$$bad"
}
endef
export FUNCTIONS
