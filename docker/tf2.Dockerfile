# The TensorFlow 2 runtime for GPUs: TensorFlow 2.15, Python 3.10, CUDA 12.2, cuDNN 8.9 (docs/machines.md).
# In the folder of the project:  docker build -f docker/tf2.Dockerfile -t mpgan:tf2 .
# On the CPU alone: --build-arg BASE=ubuntu:22.04.
ARG BASE=nvidia/cuda:12.2.2-cudnn8-runtime-ubuntu22.04
FROM ${BASE}

RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates make python3.10 python3.10-venv \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /mpgan
COPY Makefile requirements.txt ./
RUN PIP_NO_CACHE_DIR=1 make env PYTHON=python3.10

# XLA=True of 2_mpgan.py compiles for the GPU with ptxas and libdevice, which that base image lacks.
RUN .venv-tf2/bin/python -m pip install --no-cache-dir nvidia-cuda-nvcc-cu12==12.2.140
ENV XLA_FLAGS=--xla_gpu_cuda_data_dir=/mpgan/.venv-tf2/lib/python3.10/site-packages/nvidia/cuda_nvcc

COPY *.py setup.cfg ruff.toml requirements-dask.txt requirements-dev.txt requirements-distributed.txt requirements-volumes.txt README.md LICENSE CITATION.cff ./
COPY configs configs
COPY models models
COPY utils utils
COPY tests tests
COPY docker docker
COPY docs docs
COPY imgs imgs

# Any user may run it (docker run -u): results go to mounted folders, settings and caches of libraries to /tmp.
RUN mkdir -m 777 data runs results
ENV HOME=/tmp LANG=C.UTF-8
USER 1000:1000
CMD ["make", "help"]
