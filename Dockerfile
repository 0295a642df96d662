# The image of every node of a cluster: head and workers run the same code.
#
#   docker build -t REGISTRY/gansweep:0.1.0 . && docker push REGISTRY/gansweep:0.1.0
#
# PyTorch's wheels carry CUDA, so a GPU node needs NVIDIA's driver and container toolkit, and no
# CUDA of its own.
#
# NOT BUILT by the project: no Docker was at hand. A test sees that what is copied exists, and that
# what is installed is what pyproject.toml offers.

FROM python:3.11-slim-bookworm

# For Ray's launcher (rsync, ps) and KubeRay's probes (wget); a C compiler for gan_core's kernels.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev procps rsync wget \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 ray

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY gan_core gan_core
COPY sweeps sweeps
COPY analysis analysis
# Jobs, the service under Ray Serve, and studies in PostgreSQL.
RUN pip install --no-cache-dir ".[ray-serve,postgresql]" && rm -rf /src

# Explicit in every process of the cluster; the token itself comes from the launcher.
ENV RAY_AUTH_MODE=token \
    PYTHONUNBUFFERED=1

USER ray
WORKDIR /home/ray
