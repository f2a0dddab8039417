# Two images from one file:
#   docker build --target api .       answers HTTP; holds neither torch nor the code that runs a model
#   docker build --target worker .    compresses
#
# EXTRAS=worker,openvino makes a worker that writes files of OpenVINO too, and is 400 MB larger.
# TORCH_INDEX is the package index that torch comes from; this one has builds without CUDA.

FROM python:3.11-slim AS build
WORKDIR /opt/modelpress
# Without pip of its own, so that none is left in the images.
RUN python -m venv --without-pip /opt/venv
ENV INSTALL="pip --python /opt/venv/bin/python install --no-cache-dir --constraint constraints.txt"
COPY pyproject.toml constraints.txt README.md ./
COPY alembic alembic
COPY app app

FROM build AS build-api
RUN $INSTALL --editable '.[server]'

FROM build AS build-worker
ARG EXTRAS=worker
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY worker worker
RUN $INSTALL --extra-index-url "$TORCH_INDEX" --editable ".[$EXTRAS]"

FROM python:3.11-slim AS runtime
RUN pip uninstall --yes --root-user-action=ignore setuptools wheel pip \
    && groupadd --gid 10001 modelpress \
    && useradd --uid 10001 --gid modelpress --no-create-home --home-dir /var/lib/modelpress modelpress \
    && install --directory --owner modelpress --group modelpress /var/lib/modelpress
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    MODELPRESS_DATA_DIR=/var/lib/modelpress \
    MODELPRESS_HOST=0.0.0.0
WORKDIR /opt/modelpress
VOLUME /var/lib/modelpress
USER 10001:10001

FROM runtime AS api
COPY --from=build-api /opt/venv /opt/venv
COPY --from=build-api /opt/modelpress /opt/modelpress
EXPOSE 8000
# Not /health/ready: that one waits for a worker, and the worker waits for this container.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
CMD ["modelpress", "api"]

FROM runtime AS worker
COPY --from=build-worker /opt/venv /opt/venv
COPY --from=build-worker /opt/modelpress /opt/modelpress
# The worker has no network, so its sign of life is the one in the database.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "from app.core.database import Database as D; from app.core.settings import Settings as S; from app.core.workers import latest; worker = latest(D(S().url)); raise SystemExit(worker is None or not worker.alive)"]
CMD ["modelpress", "worker"]
