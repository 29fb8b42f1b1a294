FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml requirements.lock README.md LICENSE NOTICE ./
COPY src ./src
RUN python -m venv /opt/askonce \
    && /opt/askonce/bin/pip install --no-cache-dir -c requirements.lock '.[otel]'

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/askonce --create-home askonce
COPY --from=build /opt/askonce /opt/askonce
USER askonce
VOLUME /var/lib/askonce
EXPOSE 8080
ENV PATH=/opt/askonce/bin:$PATH
HEALTHCHECK --interval=10s --timeout=2s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/readyz', timeout=1)"]
ENTRYPOINT ["askonce"]
# Mount the configuration at /etc/askonce.yaml; its `listen` must be 0.0.0.0:8080 to be reached from outside.
CMD ["serve", "-c", "/etc/askonce.yaml", "--listen", "0.0.0.0:8080"]
