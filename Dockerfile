# Pinned by tag: pin the digest of the image that your own registry serves, here and in docker-compose.yml.
ARG PYTHON=python:3.11.14-slim-bookworm

FROM ${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/build && python -m venv /opt/crossmargin
COPY requirements.lock requirements-setup.lock ./
RUN /opt/build/bin/pip install --require-hashes -r requirements-setup.lock \
    && /opt/crossmargin/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY chains chains
COPY indexer indexer
COPY aggregator aggregator
COPY crossmargin crossmargin
RUN /opt/build/bin/python -m hatchling build --target wheel --directory /dist \
    && /opt/crossmargin/bin/pip install --no-deps /dist/*.whl \
    && /opt/crossmargin/bin/pip uninstall --yes pip setuptools

FROM ${PYTHON}
COPY --from=build /opt/crossmargin /opt/crossmargin
RUN groupadd --system --gid 10001 crossmargin \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /tmp crossmargin \
    && install --directory --owner 10001 --group 10001 --mode 0750 /var/lib/crossmargin /var/lib/lake
ENV PATH=/opt/crossmargin/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/crossmargin
VOLUME /var/lib/crossmargin
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["crossmargin"]
CMD ["--help"]
