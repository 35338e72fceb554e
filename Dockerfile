# The exporter alone. Configuration and data live in the volume /var/lib/cloudspend:
#
#   docker build -t cloudspend .
#   docker run -p 127.0.0.1:9753:9753 -v cloudspend:/var/lib/cloudspend \
#       -v ./cloudspend.yml:/var/lib/cloudspend/cloudspend.yml:ro cloudspend

FROM python:3.12-slim AS build

# Clouds to install beside the core, by the names of the extras: --build-arg CLOUDS=aws,gcp
ARG CLOUDS=""

RUN python -m venv /opt/cloudspend
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY exporter ./exporter
RUN /opt/cloudspend/bin/pip install --no-cache-dir --disable-pip-version-check ".${CLOUDS:+[$CLOUDS]}"


FROM python:3.12-slim

# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
RUN useradd --system --uid 65532 --user-group --no-create-home --home-dir /var/lib/cloudspend cloudspend \
    && install -d -o 65532 -g 65532 /var/lib/cloudspend
COPY --from=build /opt/cloudspend /opt/cloudspend

# Unbuffered: the last line of a process that dies is the one that matters.
ENV PATH=/opt/cloudspend/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

USER 65532:65532
# Where every command looks for ./cloudspend.yml, so `docker exec … cloudspend costs` needs no --config. Paths in that
# file are relative to it, so the default store, ./cloudspend-data, lies in the volume.
WORKDIR /var/lib/cloudspend
VOLUME /var/lib/cloudspend
EXPOSE 9753

# With TLS, or on another port, give the container a check of its own.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9753/-/healthy', timeout=4)"]

# No init in front: the exporter handles SIGTERM itself and waits for its workers.
ENTRYPOINT ["cloudspend"]
CMD ["serve", "--web.listen-address", "0.0.0.0:9753"]
