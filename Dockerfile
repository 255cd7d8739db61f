# The service in a container, for CPUs (`--target cpu`, the default) or NVIDIA GPUs (`--target cuda`): docs/docker.md.
# Versions are those of requirements.txt and requirements-dev.txt; a test holds this file to them.

# --- the wheel ---------------------------------------------------------------------------------------------------
FROM python:3.11-slim AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /dist .

# --- what both kinds share: user, folders, how it is started -------------------------------------------------------
FROM python:3.11-slim AS runtime
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    EMOTION_LLAMA_CACHE=/cache \
    XDG_STATE_HOME=/data
RUN useradd --create-home --uid 1000 app && install --directory --owner=app --group=app /cache /data
WORKDIR /data
EXPOSE 8000
# lives: loading the model may take a minute, /readyz says when it is done
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "from http.client import HTTPConnection as H; c = H('127.0.0.1', 8000, timeout=4); \
       c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["emotion-llama"]
# it listens to other machines, so it wants keys: mount a key file there
CMD ["serve", "--model", "nano", "--host", "0.0.0.0", "--port", "8000", "--api-key-file", "/run/secrets/keys", \
     "--jobs-db", "/data/jobs.sqlite"]

# --- packages: torch first and pinned, so that no other requirement pulls another build ----------------------------
FROM python:3.11-slim AS packages-cpu
ARG TORCH=2.13.0
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv && pip install --index-url https://download.pytorch.org/whl/cpu "torch==${TORCH}"
COPY requirements.txt requirements-dev.txt /requirements/
RUN pip install --requirement /requirements/requirements.txt --constraint /requirements/requirements-dev.txt
COPY --from=wheel /dist /dist
RUN pip install --constraint /requirements/requirements.txt --constraint /requirements/requirements-dev.txt \
    "$(echo /dist/*.whl)[serve]" && pip check

FROM python:3.11-slim AS packages-cuda
ARG TORCH=2.13.0
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# the wheel of the package index brings CUDA's libraries along; the driver is the host's
RUN python -m venv /opt/venv && pip install "torch==${TORCH}"
COPY requirements.txt requirements-dev.txt /requirements/
RUN pip install --requirement /requirements/requirements.txt --constraint /requirements/requirements-dev.txt
COPY --from=wheel /dist /dist
RUN pip install --constraint /requirements/requirements.txt --constraint /requirements/requirements-dev.txt \
    "$(echo /dist/*.whl)[serve]" && pip check

# --- the images ----------------------------------------------------------------------------------------------------
FROM runtime AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=packages-cuda /opt/venv /opt/venv
USER app
# what is fetched at build time; empty: nothing, and a volume at /cache is filled once by `fetch nano`
ARG WEIGHTS=nano
RUN if [ -n "${WEIGHTS}" ]; then emotion-llama fetch ${WEIGHTS}; fi

# last, so that it is what `docker build .` gives
FROM runtime AS cpu
COPY --from=packages-cpu /opt/venv /opt/venv
USER app
ARG WEIGHTS=nano
RUN if [ -n "${WEIGHTS}" ]; then emotion-llama fetch ${WEIGHTS}; fi
