# Weft in one image: the proxy, the identity component, `weft init`, `weft hold` and every other command. The entry point is `weft`.
#
#   docker build -t weft .
#   docker run --rm --read-only --cap-drop ALL -e WEFT_CONFIG="$(cat proxy.yaml)" weft proxy
#   docker run --rm --user root --cap-drop ALL --cap-add NET_ADMIN --cap-add NET_RAW --network container:NAME weft init
#
# It runs as user 2102, the one that `weft init` exempts, writes nothing to its own file system and needs no capability (but `init`,
# which needs root and two). Built and tried on x64; arm64 takes the same steps and is untested.
ARG NODE_IMAGE=docker.io/library/node:22-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /weft
COPY package.json package-lock.json tsconfig.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
COPY src src
RUN node node_modules/typescript/bin/tsc -p tsconfig.json
# Not `--omit=optional`: koffi's binary is an optional package. Nothing is installed anew, so the exact versions of the lock file stay.
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error
# The Node that the project develops with (the image has its own), and binaries for other systems and Node versions.
RUN rm -rf node_modules/node-linux-* \
  && cd node_modules/uWebSockets.js/dist/bin \
  && keep="uws_$(node -p '`${process.platform}_${process.arch}_${process.versions.modules}.node`')" \
  && test -f "$keep" \
  && find . -name '*.node' ! -name "$keep" -delete
COPY LICENSE ./
COPY bin bin
# Files have the modes of the checkout, which may be for its owner only; the image's user is another one.
RUN chmod -R a+rX bin package.json LICENSE

FROM ${NODE_IMAGE} AS runtime
LABEL org.opencontainers.image.title="Weft" org.opencontainers.image.licenses="Apache-2.0"
# For `weft init`. Bases that bring it are left as they are.
RUN command -v iptables-restore >/dev/null \
  || (apt-get update -qq && apt-get install -y -qq --no-install-recommends iptables && rm -rf /var/lib/apt/lists/* /var/cache/apt/*)
WORKDIR /weft
COPY --from=build /weft/package.json /weft/LICENSE ./
COPY --from=build /weft/bin bin
COPY --from=build /weft/node_modules node_modules
COPY --from=build /weft/dist dist
# Mounted volumes take over who owns these: an identity component's state, what a sidecar proves itself with, and the certificate that it keeps.
RUN mkdir -p /var/lib/weft/identity /var/lib/weft/token /var/lib/weft/kept && chmod 0700 /var/lib/weft/* && chown -R 2102:2102 /var/lib/weft
ENV NODE_ENV=production
USER 2102:2102
# Outbound, inbound, admin.
EXPOSE 4140 4143 4191
# What runs without an admin port at 4191 (init, hold) brings a check of its own or none. No Node is started for this.
HEALTHCHECK --interval=5s --timeout=2s --start-period=60s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/4191 && printf 'GET /ready HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [[ $status == 200 ]]"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/weft/bin/weft.mjs"]
CMD ["--help"]

# With load generators, for docker-compose.yml's profiles `bench` and `load`: docker build --target bench -t weft-bench .
FROM runtime AS bench
USER root
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends apache2-utils nginx-light wrk && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY src src
COPY test/support/ports.ts test/support/ports.ts
COPY bench bench
# Reports go to what is mounted there.
RUN chmod -R a+rX src test bench && mkdir /report && chown 2102:2102 /report
USER 2102:2102
ENTRYPOINT ["node", "/weft/bench/paths.ts"]
HEALTHCHECK NONE

# The last stage is what a build without `--target` makes.
FROM runtime
