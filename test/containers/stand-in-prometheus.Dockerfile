# What the tests take for docker.io/prom/prometheus, where no registry can be reached: the same server from Debian.
FROM docker.io/library/node:22-bookworm-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
  && mkdir -p /prometheus && chown nobody /prometheus
USER nobody
ENTRYPOINT ["prometheus"]
