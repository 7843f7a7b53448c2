# What the tests take for docker.io/library/redis:7, where no registry can be reached: the same server from Debian.
FROM docker.io/library/node:22-bookworm-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
# As the image of that name: whoever can reach it may use it, and it writes to /data. Where it cannot write, it does not end by SIGTERM.
RUN printf '#!/bin/sh\nexec /usr/bin/redis-server "$@" --protected-mode no\n' >/usr/local/bin/redis-server && chmod +x /usr/local/bin/redis-server \
  && mkdir -p /data && chown redis /data
WORKDIR /data
USER redis
CMD ["redis-server"]
