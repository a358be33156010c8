#!/usr/bin/env bash
# Installs what the tests need into .venv-test and runs the whole suite on the three backends.
# Arguments go to pytest: bash tests/run.sh -x tests/models
# KERAS=3.12 bash tests/run.sh: another version of Keras, in an environment of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

environment=.venv-test${KERAS:+-keras-$KERAS}
# Debian's Python has no ensurepip: the system's pip fills the environment from outside.
[ -x $environment/bin/python ] || python3 -m venv --without-pip $environment
install="python3 -m pip --python $environment/bin/python install --quiet"
$install --editable ".[all,test]" --constraint tests/constraints.txt ${KERAS:+"keras==$KERAS.*"}
# A reference of the tests of balancers; without what it asks for, which these do not need.
$install --no-deps LibMTL==1.1.5

export TF_CPP_MIN_LOG_LEVEL=2 CUDA_VISIBLE_DEVICES=
# A process for each core: more threads would wait for one another.
export OMP_NUM_THREADS=1
# Most of JAX's time is compiling, and the tests compile much twice; what it compiles is tiny.
export JAX_DISABLE_MOST_OPTIMIZATIONS=1
# XLA's newer way to compile loops takes half as long again.
export XLA_FLAGS=--xla_cpu_use_fusion_emitters=false
export JAX_COMPILATION_CACHE_DIR=$PWD/$environment/jax-cache JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0
for backend in ${BACKENDS:-tensorflow jax torch}; do
    echo "== $backend"
    KERAS_BACKEND=$backend $environment/bin/python -m pytest -q -n "${WORKERS:-2}" --dist worksteal "$@"
done
