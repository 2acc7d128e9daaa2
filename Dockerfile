FROM python:3.13-slim AS build
# docker build --build-arg EXTRAS=select,otel,kafka: what queries, traces and the targets of events need
ARG EXTRAS=
COPY pyproject.toml README.md LICENSE /source/
COPY s3ish /source/s3ish
RUN python -m venv /opt/s3ish && /opt/s3ish/bin/pip install --no-cache-dir "/source${EXTRAS:+[$EXTRAS]}"
# what Testcontainers for Java runs in a container of LocalStack, in place of the entry point
RUN printf '#!/bin/sh\nexec env "GATEWAY_LISTEN=${GATEWAY_LISTEN:-0.0.0.0:4566}" s3ish serve --test\n' > /opt/docker-entrypoint.sh && chmod 755 /opt/docker-entrypoint.sh
# health checks of MinIO's image: mc ready local
RUN printf '#!/bin/sh\nif [ "$1" = ready ]; then exec s3ish healthcheck; fi\necho "mc: this image has no client of MinIO; it knows mc ready alone" >&2\nexit 127\n' > /opt/mc && chmod 755 /opt/mc
# start lines of a shell: mkdir -p /data/uploads && minio server /data
RUN printf '#!/bin/sh\nexec s3ish minio "$@"\n' > /opt/minio && chmod 755 /opt/minio

FROM python:3.13-slim AS server
# curl and wget: for health checks that compose files and manifests bring along
RUN apt-get update && apt-get install --yes --no-install-recommends curl wget && rm -rf /var/lib/apt/lists/*
RUN groupadd --system --gid 10001 s3ish && useradd --system --uid 10001 --gid 10001 --no-create-home s3ish && install -d -o s3ish -g s3ish /data
COPY --from=build /opt/s3ish /opt/s3ish
COPY --from=build /opt/mc /opt/minio /usr/local/bin/
ENV PATH=/opt/s3ish/bin:$PATH S3ISH_HOST=0.0.0.0 S3ISH_VOLUMES=/data container=oci
USER 10001:10001
VOLUME /data
EXPOSE 9000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["s3ish", "healthcheck"]
ENTRYPOINT ["s3ish"]
CMD ["serve"]

# docker build --target test: for stacks of tests, whose keys everybody knows; see docs/replacing.md
FROM server AS test
COPY --from=build /opt/docker-entrypoint.sh /usr/local/bin/
ENV S3ISH_ALLOW_WELL_KNOWN_KEYS=true

FROM server
