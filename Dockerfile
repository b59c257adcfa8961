# An image for NVIDIA GPUs; its steps are those of README. On the host: a driver for CUDA 13 and the NVIDIA Container Toolkit.
#
#   docker build -t domain-tokens .
#   docker run --rm --gpus all --ipc=host -v "$PWD/outputs:/lab/outputs" domain-tokens make demo-quick
#
# torch brings CUDA's libraries. The base image has the compilers that torch.compile and DeepSpeed's kernels ask for.
FROM nvidia/cuda:13.0.1-devel-ubuntu24.04

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential git make python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /lab
COPY . .
RUN make install

ENV PATH="/lab/.venv/bin:$PATH"
CMD ["make", "help"]
