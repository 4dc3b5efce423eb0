# syntax=docker/dockerfile:1
# One image for both units: `serve` (the edge) and `gatekeeper FILE` (the inner unit). deploy/README.md shows how to run it.

FROM python:3.12-slim AS build
WORKDIR /src
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY gateway gateway
COPY plugins plugins
COPY sandbox sandbox
RUN python -m venv --without-pip /opt/tongguan \
    && pip --python /opt/tongguan/bin/python install --no-cache-dir .

FROM python:3.12-slim
# Nothing in the running image installs or builds anything.
RUN pip uninstall --yes --root-user-action=ignore pip \
    && groupadd --gid 10001 tongguan \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tongguan \
    && install --directory --owner=tongguan --group=tongguan --mode=0750 /etc/tongguan /run/tongguan /var/lib/tongguan
COPY --from=build /opt/tongguan /opt/tongguan
ENV PATH=/opt/tongguan/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TONGGUAN_CONFIG=/etc/tongguan/gateway.yaml
WORKDIR /etc/tongguan
USER 10001:10001
# Configuration is mounted, never part of the image. With --read-only, /run/tongguan has to be a tmpfs or a volume, and
# /var/lib/tongguan a volume where a ledger is kept in SQLite.
VOLUME ["/etc/tongguan"]
EXPOSE 8080
STOPSIGNAL SIGTERM
# Asks the management listener that gateway.yaml names; it is on loopback or a Unix socket inside the container.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["tongguan", "status"]
ENTRYPOINT ["tongguan"]
CMD ["serve"]
