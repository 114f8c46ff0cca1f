# The reference runtime: TensorFlow 1.15, Python 3.7, CUDA 10.0, cuDNN 7 (docs/machines.md).
# In the folder of the project:  docker build -f docker/tf1.Dockerfile -t mpgan:tf1 .
#
# NVIDIA took its images of CUDA 10 off the public registries in 2023. With a copy in a registry of your own:
# --build-arg BASE=registry/name:tag. Without one: --build-arg BASE=ubuntu:18.04, the same runtime on the CPU.
ARG BASE=nvidia/cuda:10.0-cudnn7-runtime-ubuntu18.04
FROM ${BASE}

# NVIDIA's package lists of that time are signed with a key that was withdrawn in 2022: apt-get would stop at them.
RUN rm -f /etc/apt/sources.list.d/cuda.list /etc/apt/sources.list.d/nvidia-ml.list \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates make python3.7 python3.7-venv python3-distutils \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /mpgan
COPY Makefile requirements.txt ./
RUN PIP_NO_CACHE_DIR=1 make env PYTHON=python3.7

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
