// Every check that `weft check` knows: its id for good, its category, what it says, what it means, and what to do when it fails.
// docs/checks.md is written from this table (scripts/docs-tables.ts) and compared with it by a test.
//
// `fails`: what a failure is unless the check says otherwise. `fatal`: nothing behind it can be looked at. `isRetried`: what may still
// be on its way up is looked at again until `--wait` is over.

interface CheckRow {
  /** Said beside the mark, whether it passes or fails. */
  readonly title: string;
  readonly fails: "fatal" | "error" | "warning";
  readonly isRetried?: true;
  readonly means: string;
  /** What to do. */
  readonly remedy: string;
}

export type Category =
  | "pre-node"
  | "pre-host"
  | "pre-redirect"
  | "pre-engine"
  | "weft-existence"
  | "weft-identity"
  | "weft-identity-data-plane"
  | "weft-clock"
  | "weft-data-plane"
  | "weft-version";

/** In the order in which they are looked at and printed; an id begins with its category. */
export const CATEGORIES = {
  "pre-node": "The Node that runs Weft.",
  "pre-host": "This host: for a proxy that runs on it, and for commands that write files.",
  "pre-redirect": "What `weft init` needs of the kernel, for transparent listeners.",
  "pre-engine": "The container engine, for compose projects.",
  "weft-existence": "What there is of the mesh, and whether it runs.",
  "weft-identity": "What the identity component signs with, and what it tells proxies to trust.",
  "weft-identity-data-plane": "The proxies' certificates and roots, beside those of the identity component.",
  "weft-clock": "The clocks by which certificates are judged.",
  "weft-data-plane": "The proxies themselves.",
  "weft-version": "Versions of what runs.",
} as const satisfies Record<Category, string>;

export const CHECKS = {
  "pre-node-version": {
    title: "Node is new enough",
    fails: "error",
    means: "Weft uses what came with Node 22.18.",
    remedy: "Install Node 22.18 or newer, or use `npm run weft --`, which brings one.",
  },
  "pre-node-system-calls": {
    title: "system calls beyond Node's own work",
    fails: "error",
    means:
      "The proxy accepts connections and asks where they were going by system calls, through the package koffi and its binary for this system.",
    remedy: "Install with `npm ci`, without `--omit=optional`; there are binaries for Linux on x64 and arm64, with glibc and musl.",
  },

  "pre-host-kernel": {
    title: "the kernel is Linux, and new enough",
    fails: "error",
    means: "Proxies run on Linux 4.18 or newer only; other systems can run the commands that ask and write files.",
    remedy: "Run proxies in Linux containers or on a Linux host.",
  },
  "pre-host-ports": {
    title: "the ports of a proxy and of the identity component are free",
    fails: "error",
    means:
      "4140 outbound, 4143 inbound, 4190 tap, 4191 admin, 8080 identity, 8089 the identity component's admin. Only a proxy on the host itself needs them: a sidecar's are its own.",
    remedy:
      "End what listens there, or give Weft other ports (`spec.outbound.listen`, `--admin`, `--listen`) and name those with `--ports`. For containers alone: `--target compose`.",
  },
  "pre-host-descriptors": {
    title: "enough file descriptors can be open",
    fails: "warning",
    means:
      "A connection through the proxy takes two. Below 20,000 a proxy admits fewer connections than its limit `connectionsMax` says; below 1,024 it fails.",
    remedy: "`ulimit -n 65536`, `LimitNOFILE=` under systemd, `ulimits: {nofile: 65536}` in a compose file.",
  },
  "pre-host-clock-year": {
    title: "the clock shows a year that can be",
    fails: "error",
    means: "Certificates made by a clock that is years off are worth nothing to others.",
    remedy: "Set the clock (`timedatectl set-ntp true`, chrony, or by hand).",
  },
  "pre-host-clock-synchronised": {
    title: "the kernel's clock is synchronised",
    fails: "warning",
    means:
      "The kernel knows whether something keeps its clock right (NTP). Without that hosts drift apart, and certificates seem not valid yet.",
    remedy:
      "Start systemd-timesyncd, chrony or ntpd. On a virtual machine the host may keep the clock unseen: compare with `--against HOST`.",
  },
  "pre-host-clock-against": {
    title: "the clock agrees with the host given by --against",
    fails: "error",
    means:
      "The `Date` of an HTTP answer, good to about a second. Over 5 s is a warning, over 20 s, which is what certificates allow for, an error.",
    remedy: "Synchronise both clocks.",
  },
  "pre-host-folder": {
    title: "the folder .weft can be written",
    fails: "error",
    means: "`weft install` and `weft inject` put keys and tokens into `.weft`, in the folder where they are run.",
    remedy: "Run them in a folder of your own, or correct the owner and mode of `.weft` (700).",
  },

  "pre-redirect-rules": {
    title: "connections can be redirected by iptables",
    fails: "warning",
    means:
      "`weft init` was run in a network namespace of its own, which is gone again: its rules need the kernel's nf_nat, nf_conntrack, xt_REDIRECT, xt_owner, xt_multiport and xt_addrtype.",
    remedy:
      "Load the modules that the message names (modprobe) on the host; install iptables, which Weft's image has. Explicit listeners (localhost:4140) need none of this.",
  },
  "pre-redirect-conntrack": {
    title: "the table of tracked connections has room",
    fails: "warning",
    means: "Each redirected connection is an entry. When the table is full, the kernel drops packets of new connections.",
    remedy: "Raise `net.netfilter.nf_conntrack_max`.",
  },

  "pre-engine-reachable": {
    title: "a container engine answers",
    fails: "warning",
    means:
      "Docker's API at DOCKER_HOST, or at a usual socket of Docker or podman. A proxy on a plain host needs none. With `--target compose` a failure is an error.",
    remedy:
      "Start the engine; for podman its API too (`systemctl --user start podman.socket`); let this user reach the socket, or set DOCKER_HOST.",
  },
  "pre-engine-compose": {
    title: "a compose command is there, and new enough",
    fails: "warning",
    means: "Sidecars start in order by `depends_on` with conditions: Docker Compose v2, docker-compose 1.29 or newer, or podman-compose.",
    remedy: "Install Docker Compose v2.",
  },
  "pre-engine-clock": {
    title: "the engine's clock agrees with this one",
    fails: "error",
    means:
      "Containers live by the clock of the engine's kernel, which can be a virtual machine's. Over 5 s is a warning, over 20 s an error.",
    remedy: "Synchronise the clocks; a virtual machine that slept may need a restart.",
  },

  "weft-existence-found": {
    title: "a mesh was found",
    fails: "fatal",
    means:
      "Proxies that were named with `--admin`, containers with Weft's labels, or something at the usual ports of this host (127.0.0.1:4191 and 127.0.0.1:8089). Where was looked is said beside it. Init containers alone are no mesh. Of several compose projects the only one that runs is looked at.",
    remedy:
      "Name proxies with `--admin HOST:PORT`, the identity component with `--identity-admin` or `--data`, a compose project with `--project`.",
  },
  "weft-existence-elsewhere": {
    title: "nothing of Weft's on this host is left out",
    fails: "warning",
    means:
      "Without options the mesh of a compose project is looked at, if there is one. Something answers at the usual ports of this host as well, and may belong to another mesh.",
    remedy: "Run the check again with the options that are named; with `--project NAME` this is not looked for.",
  },
  "weft-existence-containers": {
    title: "the containers of the mesh run",
    fails: "error",
    isRetried: true,
    means:
      "Namespace holders, proxies and the identity component of the compose project: each is up, none is being restarted again and again, and no application is without its proxy.",
    remedy: "Look at the log of the container that is named: `docker compose logs NAME`.",
  },
  "weft-existence-init": {
    title: "every init container ended well",
    fails: "error",
    isRetried: true,
    means: "An init container writes the redirect rules of its namespace and ends with 0. Without them connections pass the proxy by.",
    remedy: "Look at its log; it needs root and the capabilities NET_ADMIN and NET_RAW; see pre-redirect-rules.",
  },
  "weft-existence-identity": {
    title: "the identity component is up",
    fails: "error",
    isRetried: true,
    means:
      "It answers on its admin port and is ready, or a process holds its data folder. While it is away, proxies go on with what they have until that ends.",
    remedy:
      "Start it (`weft identity-controller --data FOLDER`) or look at its log; name its admin port with `--identity-admin HOST:PORT`.",
  },
  "weft-existence-proxies": {
    title: "every proxy answers on its admin port",
    fails: "error",
    isRetried: true,
    means: "A proxy was asked on its admin port; one in a container from inside, because the port may be on loopback there.",
    remedy: "Start it or look at its log. A proxy with `spec.admin.listen: off` cannot be asked.",
  },
  "weft-existence-data-plane": {
    title: "there are proxies to look at",
    fails: "warning",
    means:
      "Proxies that were named, those of the compose project, or the one at 127.0.0.1:4191 when none was named. Without one nothing of the data plane was checked: right for a host with the identity component alone; with `--proxy` it is an error.",
    remedy: "Start the proxy, or name each with `--admin HOST:PORT`: its `spec.admin.listen`.",
  },

  "weft-identity-anchors-crypto": {
    title: "trust anchors have keys of a supported kind",
    fails: "error",
    means: "ECDSA P-256 or P-384, Ed25519, or RSA with 2048 bits or more.",
    remedy: "Make a new root (`weft identity rotate --root --data FOLDER`, with the identity component's folder, or at your CA).",
  },
  "weft-identity-anchors-valid": {
    title: "trust anchors are valid now",
    fails: "error",
    means: "The roots that proxies trust: one that has ended vouches for nobody, and certificates below it are refused.",
    remedy:
      "Take it out of the roots file when nothing below it is in use; replace the one that signs. A root of Weft's own is replaced by itself: look at the component's log and clock.",
  },
  "weft-identity-anchors-60-days": {
    title: "trust anchors stay valid for a while",
    fails: "warning",
    means:
      "60 days for a root that somebody replaces by hand; for one that is replaced by itself, or lives shorter than that, a sixth of its life.",
    remedy: "Add the next root to the roots file now, so that every proxy trusts it before anything is signed by it.",
  },
  "weft-identity-anchors-unique": {
    title: "no trust anchor is there twice",
    fails: "warning",
    means: "The same certificate twice, or two roots with one name, by which chains are built.",
    remedy: "Remove what is double from the roots file.",
  },
  "weft-identity-issuer-crypto": {
    title: "the issuer has a key and a signature of a supported kind",
    fails: "error",
    means: "As for trust anchors; its signature with SHA-256 or better.",
    remedy: "Make a new issuer (`weft identity rotate --data FOLDER`, with the identity component's folder, or at your CA).",
  },
  "weft-identity-issuer-valid": {
    title: "the issuer is valid now",
    fails: "error",
    means: "Without a valid issuer no proxy gets or renews a certificate.",
    remedy: "Put a new issuer into its files. One of Weft's own is replaced by itself: look at the component's log and clock.",
  },
  "weft-identity-issuer-60-days": {
    title: "the issuer stays valid for a while",
    fails: "warning",
    means:
      "60 days for an issuer that somebody replaces by hand; for one that is replaced by itself, or lives shorter than that, a sixth of its life.",
    remedy: "Put the next issuer into its files; the identity component takes it over without a restart.",
  },
  "weft-identity-issuer-signed": {
    title: "the issuer comes from a trust anchor",
    fails: "error",
    means: "Each certificate of its chain signed by the next, up to a root that proxies trust.",
    remedy: "Give the whole chain in `--issuer-cert`, and its root in `--roots`.",
  },

  "weft-identity-data-plane-certificates": {
    title: "proxies have certificates that are valid now",
    fails: "error",
    isRetried: true,
    means: "A proxy that is to have an identity and has no valid certificate is refused by its peers.",
    remedy:
      "Look at the proxy's log: it says why it got none. A token may have expired (`weft identity token create --name NAME --namespace NAMESPACE --data FOLDER --file TOKEN`, with the identity component's folder); `weft identity recover --data FOLDER` repairs a mesh in which everything has ended.",
  },
  "weft-identity-data-plane-renewal": {
    title: "proxies renew their certificates in time",
    fails: "warning",
    means: "A certificate is renewed at two thirds of its life. One in its last sixth means that renewal fails.",
    remedy: "Look at the proxy's log and at `proxy_identity_failures_total`; the identity component must be reachable from the proxy.",
  },
  "weft-identity-data-plane-issuer": {
    title: "proxies' certificates come from a trust anchor of the identity component",
    fails: "error",
    means:
      "One from the issuer before is as good until it is renewed; one from another root belongs to another mesh, or to a component whose data were lost.",
    remedy:
      "Give the proxy a new token of this identity component (`weft identity token create --name NAME --namespace NAMESPACE --data FOLDER --file TOKEN`) and restart it.",
  },
  "weft-identity-data-plane-anchors": {
    title: "proxies trust what the identity component says",
    fails: "error",
    isRetried: true,
    means:
      "Fingerprints of the roots are compared. A proxy that lacks the root that signs refuses its peers (an error); one that lacks a new root, or keeps an old one, will (a warning).",
    remedy:
      "A proxy follows by itself while it can reach the identity component: look at its log. Roots from a file (`spec.identity.trust`) are replaced by whoever writes the file. When no root is shared, `--data` or `--identity-admin` may name another mesh's.",
  },
  "weft-identity-data-plane-meshed": {
    title: "every proxy has an identity",
    fails: "warning",
    means: "A proxy without `spec.identity` speaks plain text, among others that speak mutual TLS.",
    remedy: "Give it `spec.identity`, if it is meant to be in the mesh.",
  },

  "weft-clock-skew": {
    title: "the clocks agree",
    fails: "error",
    means:
      "The clock of each proxy and of the identity component beside the one here. Over 5 s is a warning, over 20 s, which is what certificates allow for, an error.",
    remedy: "Synchronise the clocks of the hosts (NTP); see pre-host-clock-synchronised.",
  },

  "weft-data-plane-ready": {
    title: "proxies are ready",
    fails: "error",
    isRetried: true,
    means: "A proxy is ready once it listens, its names were looked up, and it has its certificate.",
    remedy: "Look at the proxy's log: it says what it waits for.",
  },
  "weft-data-plane-config": {
    title: "proxies run the configuration that they were given last",
    fails: "warning",
    means: "A reload with a mistake is refused as a whole: the proxy goes on with the configuration before.",
    remedy: "The proxy's log has the mistake with file, line and column; `weft validate PATH` says the same.",
  },

  "weft-version-expected": {
    title: "this command has the expected version",
    fails: "warning",
    means: "What `--expected-version` says.",
    remedy: "Install that version.",
  },
  "weft-version-identity": {
    title: "the identity component and this command have one version",
    fails: "warning",
    means: "Neighbouring versions understand each other; a mesh is meant to be updated as a whole, the identity component first.",
    remedy: "Update what is older.",
  },
  "weft-version-proxies": {
    title: "proxies and this command have one version",
    fails: "warning",
    means: "As for the identity component; the proxies after it.",
    remedy: "Update what is older, one proxy after the other.",
  },
} as const satisfies Record<string, CheckRow>;

export type CheckId = keyof typeof CHECKS;

/** The row of a check, with what it may leave out. */
export function rowOf(id: CheckId): CheckRow {
  return CHECKS[id];
}

/** The category that an id begins with: the longest, because one category's name begins with another's. */
export function categoryOf(id: CheckId): Category {
  const names = (Object.keys(CATEGORIES) as Category[]).filter((name) => id.startsWith(`${name}-`));
  return names.sort((a, b) => b.length - a.length)[0]!;
}
