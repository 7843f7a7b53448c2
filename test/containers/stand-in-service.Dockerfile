# What the tests take for the images of test/fixtures/compose, where no registry can be reached: one server that says who asks it. STAND_IN
# and LISTENS are set for each name. Health checks, and the one entry point that is not the image's own, find the commands that they call.
FROM docker.io/library/node:22-bookworm-slim
COPY stand-in-service/service.ts /stand-in/service.ts
RUN echo '{"type": "module"}' >/stand-in/package.json \
  && asks() { printf '#!/bin/sh\nexec node --no-warnings /stand-in/service.ts ask "%s"\n' "$2" >"$1" && chmod +x "$1"; } \
  && asks /usr/local/bin/ask '$1' \
  && asks /usr/local/bin/curl '$2' \
  && asks /usr/local/bin/pg_isready bytes://127.0.0.1:5432 \
  && asks /usr/local/bin/mysqladmin bytes://127.0.0.1:3306 \
  && asks /entrypoint bytes://metadata:5432
ENTRYPOINT ["node", "--no-warnings", "/stand-in/service.ts", "serve"]
