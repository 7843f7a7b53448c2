# What the tests take for docker.io/library/redis:7, where no registry can be reached: the same server from Debian.
FROM docker.io/library/node:22-bookworm-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
USER redis
CMD ["redis-server"]
