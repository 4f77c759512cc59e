# Two images of cmow-serve, without compiler, pip or PyTorch, run as a user who can write nowhere:
#   docker build --target cpu .    amd64 and arm64
#   docker build --target gpu .    amd64
# Everything from PyPI is pinned with its digest in deploy/requirements, which `make lock` writes.
#
# The base is plain Debian for both. NVIDIA publishes CUDA and cuDNN as wheels, which onnxruntime-gpu names as its extras:
# they are locked like all else and bring only the libraries that it opens, where a CUDA base image has a second copy.
ARG DEBIAN=debian:13.7-slim

FROM ${DEBIAN} AS python
# hadolint ignore=DL3008  # the packages' versions are those of Debian's point release, and of its security fixes
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/*

FROM python AS builder
# hadolint ignore=DL3008  # as above
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake g++ make python3-venv \
    && rm -rf /var/lib/apt/lists/*
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/cmow
WORKDIR /source

FROM scratch AS source
WORKDIR /source
COPY pyproject.toml CMakeLists.txt LICENSE README.md ./
COPY export/ops export/ops
COPY service service
COPY src src

FROM builder AS wheel
COPY deploy/requirements/build.txt deploy/requirements/
RUN /opt/build/bin/pip install --require-hashes --requirement deploy/requirements/build.txt
COPY --from=source /source ./
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM builder AS wheel-gpu
COPY deploy/requirements/build-cuda.txt deploy/requirements/
RUN /opt/build/bin/pip install --require-hashes --requirement deploy/requirements/build-cuda.txt
ENV CUDA_HOME=/opt/build/cuda CUDACXX=/opt/build/cuda/bin/nvcc
RUN ln -s "$(echo /opt/build/lib/python3*/site-packages/nvidia/cu13)" /opt/build/cuda && ln -s lib /opt/build/cuda/lib64
COPY --from=source /source ./
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .
# CMake leaves the CUDA kernels out where it finds no compiler, and says so only in its log.
RUN /opt/build/bin/python -m zipfile --list /wheels/*.whl | grep -q libhybrid_encode_cuda.so

FROM builder AS packages-cpu
COPY deploy/requirements/cpu.txt deploy/requirements/
RUN /opt/build/bin/pip --python /opt/cmow/bin/python install --no-deps --require-hashes --requirement deploy/requirements/cpu.txt
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    /opt/build/bin/pip --python /opt/cmow/bin/python install --no-deps --no-index /wheels/*.whl \
    && find /opt/cmow -depth -type d \( -path '*/numpy/*/tests' -o -path '*/onnxruntime/transformers' \
        -o -path '*/onnxruntime/quantization' -o -path '*/onnxruntime/tools' \) -exec rm -r {} +

FROM builder AS packages-gpu
COPY deploy/requirements/gpu.txt deploy/requirements/
RUN /opt/build/bin/pip --python /opt/cmow/bin/python install --no-deps --require-hashes --requirement deploy/requirements/gpu.txt
RUN --mount=type=bind,from=wheel-gpu,source=/wheels,target=/wheels \
    /opt/build/bin/pip --python /opt/cmow/bin/python install --no-deps --no-index /wheels/*.whl \
    && find /opt/cmow -depth -type d \( -path '*/numpy/*/tests' -o -path '*/onnxruntime/transformers' \
        -o -path '*/onnxruntime/quantization' -o -path '*/onnxruntime/tools' \) -exec rm -r {} +

FROM python AS runtime
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin cmow
# onnxruntime-gpu 1.31 sends telemetry to its makers unless told not to before it starts.
ENV PATH=/opt/cmow/bin:$PATH PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1 \
    CMOW_HOST=0.0.0.0 CMOW_PORT=8000 CMOW_REQUIRE_FUSED_OP=true
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-m", "cmow.service.serve.probe"]
CMD ["cmow-serve"]

FROM runtime AS gpu
COPY --from=packages-gpu /opt/cmow /opt/cmow

FROM runtime AS cpu
COPY --from=packages-cpu /opt/cmow /opt/cmow
