FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY sidelight sidelight
COPY proxy proxy
COPY wire wire
COPY processors processors
COPY exporters exporters
COPY console console
COPY config config
COPY store store
COPY pipeline pipeline
RUN python -m venv /opt/sidelight \
 && /opt/sidelight/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
 && /opt/sidelight/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim
RUN useradd --system --create-home --home-dir /var/lib/sidelight sidelight
COPY --from=build /opt/sidelight /opt/sidelight
# No source in the working directory, and nothing there is importable: a mounted config/ must not hide the code.
ENV PATH=/opt/sidelight/bin:$PATH PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER sidelight
WORKDIR /var/lib/sidelight
EXPOSE 4000 13133
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:13133/', timeout=2)"]
ENTRYPOINT ["sidelight"]
CMD ["run", "--config", "/etc/sidelight/sidelight.yaml"]
