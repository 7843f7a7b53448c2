#!/usr/bin/env bash
# The container engine of the tests, on a Debian 12 that has its packages (test/containers/packages.txt), as root: podman, which speaks
# Docker's API here, and docker-compose as its client.
#
#   test/containers/engine.sh images         makes the base image, the project's, and stand-ins for what else would be pulled
#   test/containers/engine.sh run COMMAND    the same, then serves the API, runs COMMAND with DOCKER_HOST set, takes down what it started
#
# WEFT_TEST_COMPOSE=FILE is another client than docker-compose: Docker Compose v2 as a program of its own, say.
#
# No registry is asked. The base image, and what else the tests need by the name that users would pull, is made from Debian's packages and
# the Node that package-lock.json pins; RUN steps get this machine's settings of npm and apt, which stay out of the images. Nothing below
# /etc is written: the engine's settings are in a file of its own.
#
# Without an engine the tests are named as skipped; with CI set a missing package is a failure. Where the kernel lets nobody start containers
# (inside another container, say) the exit code is 75, and they are skipped in CI too.
set -euo pipefail
cd "$(dirname "$0")/../.."
ROOT=$PWD
# What podman starts may outlive this script, as its name server does: it shall hold no descriptor of the caller's, a lock, say. 255 is bash's own.
for fd in /proc/self/fd/*; do
  fd=${fd##*/}
  if ((fd > 2 && fd != 255)); then eval "exec $fd>&-"; fi
done
BASE=docker.io/library/node:22-bookworm-slim
# Containers that are not healthy yet are asked so often, seconds; podman leaves that to systemd, which may not be there.
HEALTH_SECONDS=0.5
# How long the API may take until it answers, in steps of 0.1 s.
API_STEPS_MAX=300
# sysexits.h, EX_TEMPFAIL: not a failure of what is tested.
KERNEL_REFUSES=75

say() { echo "engine: $*" >&2; }

# What is missing for an engine, in words; nothing when all is there.
missing() {
  local name
  ((EUID == 0)) || echo -n "this user is not root; "
  while read -r name _; do
    case $name in '' | '#'*) continue ;; esac
    dpkg -s "$name" >/dev/null 2>&1 || echo -n "the package $name; "
  done <test/containers/packages.txt
}

settings() {
  STATE=$(mktemp -d /var/tmp/weft-engine.XXXXXX)
  SOCKET=$STATE/engine.sock
  trap finish EXIT
  # crun refuses the cgroups of some virtual machines; limits above the machine's own cannot be set; journald may not be there. Podman's name server (1.4) now
  # and then answers no longer at one of a network's addresses while containers come: who asks goes on to the next one after a second, not after five.
  cat >"$STATE/containers.conf" <<'CONF'
[containers]
default_ulimits = ["nofile=10000:10000", "nproc=10000:10000"]
log_driver = "k8s-file"
dns_options = ["timeout:1"]
[engine]
runtime = "runc"
events_logger = "file"
[network]
network_backend = "netavark"
CONF
  export CONTAINERS_CONF=$STATE/containers.conf DISABLE_HC_SYSTEMD=true DOCKER_HOST=unix://$SOCKET
}

# Debian's smallest system with apt, the pinned Node, and npm: what the official image has, as far as the Dockerfile and the examples use it.
base_image() {
  podman image exists "$BASE" && return
  local arch=x64 from=$SECONDS option
  [[ $(uname -m) == aarch64 ]] && arch=arm64
  NODE=$ROOT/node_modules/node-linux-$arch/bin/node
  NPM=$(npm root -g)/npm
  export NODE NPM
  [[ -x $NODE ]] || { say "$NODE is not there: npm ci first"; return 1; }
  local options=(--quiet --variant=apt --mode=root --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*'
    --dpkgopt='path-exclude=/usr/share/doc/*')
  while read -r option; do options+=("--aptopt=$option"); done < <(apt-config dump | grep -E '^Acquire::(https?::|Check-)' || true)
  # shellcheck disable=SC2016  # the hooks' own shell knows $1, the new root
  options+=(--customize-hook='cp -L "$NODE" "$1/usr/local/bin/node" && mkdir -p "$1/usr/local/lib/node_modules" && cp -r "$NPM" "$1/usr/local/lib/node_modules/"'
    --customize-hook='ln -s ../lib/node_modules/npm/bin/npm-cli.js "$1/usr/local/bin/npm" && ln -s ../lib/node_modules/npm/bin/npx-cli.js "$1/usr/local/bin/npx"')
  mmdebstrap "${options[@]}" bookworm - | podman import --quiet --change 'CMD ["node"]' - "$BASE" >/dev/null
  say "made $BASE from Debian's packages in $((SECONDS - from)) s"
}

# build NAME [ARGUMENT...]: with the machine's npm cache and settings beside the RUN steps, not in the image. Docker's format has health checks.
build() {
  local name=$1 from=$SECONDS file home=~root args=(--network host --quiet --format docker)
  shift
  [[ -d /etc/ssl/certs ]] && args+=(-v /etc/ssl/certs:/etc/ssl/certs:ro)
  file=$(npm config get globalconfig 2>/dev/null)
  [[ -f $file ]] && args+=(-v "$file:/usr/local/etc/npmrc:ro")
  file=$(npm config get userconfig 2>/dev/null)
  [[ -f $file ]] && args+=(-v "$file:$home/.npmrc:ro")
  file=$(npm config get cache 2>/dev/null)
  [[ -d $file ]] && args+=(-v "$file:$home/.npm:O")
  podman build "${args[@]}" -t "docker.io/$name" "$@" >/dev/null
  say "built $name in $((SECONDS - from)) s"
}

image() {
  if (($# == 0)); then build library/weft .; else build "library/weft-$1" --target "$1" .; fi
}

# The images that docker-compose.yml would pull, and what stands for those of test/fixtures/compose.
stand_ins() {
  build library/weft-stand-in -f test/containers/stand-in-service.Dockerfile test/containers
  build library/redis:7 -f test/containers/stand-in-redis.Dockerfile test/containers
  build prom/prometheus:v2.55.1 -f test/containers/stand-in-prometheus.Dockerfile test/containers
}

answers() { curl -fsS --max-time 5 --unix-socket "$SOCKET" http://engine/_ping >/dev/null 2>&1; }

# The API and the health checks, as long as this script runs.
serve() {
  podman system service -t 0 "unix://$SOCKET" >"$STATE/service.log" 2>&1 &
  service=$!
  (
    while sleep "$HEALTH_SECONDS"; do
      for id in $(podman ps -q --filter health=starting --filter health=unhealthy 2>/dev/null); do podman healthcheck run "$id" >/dev/null 2>&1 || true; done
    done
  ) &
  health=$!
  local step
  for ((step = 0; step < API_STEPS_MAX; step++)); do
    answers && return
    sleep 0.1
  done
  say "the engine's API does not answer; $STATE/service.log:"
  cat "$STATE/service.log" >&2
  return 1
}

finish() {
  local code=$?
  # Only what this script started, by its id.
  kill "$health" "$service" 2>/dev/null || true
  wait "$health" "$service" 2>/dev/null || true
  rm -rf "$STATE"
  exit "$code"
}

skipped() {
  say "SKIPPED, not passed, because there is no container engine here: $(find test/containers -name '*.test.ts' | sort | tr '\n' ' ')"
  say "$1"
}

# What the kernel must allow for anything below to work.
kernel_refuses() {
  skipped "this machine's kernel does not let containers be started: $1"
  exit "$KERNEL_REFUSES"
}

service='' health=''
lacks=$(missing)
if [[ -n $lacks ]]; then
  skipped "missing: ${lacks%; }"
  if [[ -n ${CI:-} ]]; then exit 1; else exit 0; fi
fi
settings
refusal=$(unshare --mount --net --pid --fork true 2>&1) || kernel_refuses "$refusal"
case ${1:-} in
images)
  base_image
  refusal=$(podman run --rm "$BASE" true 2>&1) || kernel_refuses "$refusal"
  image
  image bench
  stand_ins
  ;;
run)
  base_image
  image
  image bench
  stand_ins
  serve
  "${@:2}"
  ;;
*)
  sed -n '2,15p' "$0" >&2
  exit 2
  ;;
esac
