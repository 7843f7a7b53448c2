// What is put into a pod: the sidecar, the init container that redirects its connections to it, and their volumes.
//
// The sidecar has no privilege at all; the init container has two, ends at once, and is a container of its own so that it can. Neither
// touches the application's containers.

import type { PodSettings } from "./settings.ts";
import {
  IDENTITY_VOLUME,
  INIT_CONTAINER,
  PROXY_CONTAINER,
  RUN_VOLUME,
  STATE_VOLUME,
  TRUST_ROOTS_CONFIG_MAP,
  TRUST_ROOTS_KEY,
} from "./names.ts";
import { TOKEN_AUDIENCE } from "../../../core/identity/join-token.ts";
import { IDENTITY_FOLDER, STATE_FOLDER, TOKEN_FILE } from "./sidecar-config.ts";

/** Seconds that a token is good; kubelet writes the next one at four fifths. It is shown once per certificate that no older one proves. */
const TOKEN_LIFE_S = 3600;
/** The application waits so long for its sidecar's first certificate, then the sidecar starts anew. Linkerd's two minutes. */
const AWAIT_S = 120;
/** What a sidecar asks for where nobody says: measured idle memory and some, and little CPU. */
const REQUESTS = { cpu: "20m", memory: "64Mi" } as const;
/** Key and certificate. */
const STATE_SIZE = "1Mi";

export interface PodParts {
  /** In front of the application's own. */
  readonly initContainers: readonly object[];
  /** In front of the application's own; empty for a native sidecar. */
  readonly containers: readonly object[];
  readonly volumes: readonly object[];
}

/** `config`: what sidecar-config.ts made. */
export function podParts(settings: PodSettings, config: string, ipv6: boolean): PodParts {
  const init = initContainer(settings, ipv6);
  const proxy = proxyContainer(settings, config);
  return {
    initContainers: settings.isNative ? [init, proxy] : [init],
    containers: settings.isNative ? [] : [proxy],
    volumes: [
      identityVolume(),
      { name: STATE_VOLUME, emptyDir: { medium: "Memory", sizeLimit: STATE_SIZE } },
      { name: RUN_VOLUME, emptyDir: {} },
    ],
  };
}

function initContainer(settings: PodSettings, ipv6: boolean): object {
  const { image, imagePullPolicy, ports, uid, skipInbound, skipOutbound, skipSubnets } = settings;
  // 4190 and 4191 always pass; another admin port must be told.
  const inboundPorts = ports.admin === 4191 ? skipInbound : [skipInbound, ports.admin].filter((part) => part !== "").join(",");
  return {
    name: INIT_CONTAINER,
    image,
    imagePullPolicy,
    args: [
      "init",
      `--incoming-proxy-port=${ports.inbound}`,
      `--outgoing-proxy-port=${ports.outbound}`,
      `--proxy-uid=${uid}`,
      `--inbound-ports-to-ignore=${inboundPorts}`,
      `--outbound-ports-to-ignore=${skipOutbound}`,
      `--subnets-to-ignore=${skipSubnets}`,
      `--ip-family=${ipv6 ? "auto" : "ipv4"}`,
    ],
    resources: { requests: REQUESTS },
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { add: ["NET_ADMIN", "NET_RAW"], drop: ["ALL"] },
      privileged: false,
      readOnlyRootFilesystem: true,
      runAsGroup: 0,
      runAsNonRoot: false,
      runAsUser: 0,
      seccompProfile: { type: "RuntimeDefault" },
    },
    terminationMessagePolicy: "FallbackToLogsOnError",
    // iptables' lock.
    volumeMounts: [{ name: RUN_VOLUME, mountPath: "/run" }],
  };
}

function proxyContainer(settings: PodSettings, config: string): object {
  const { image, imagePullPolicy, ports, uid, gid, isNative, isAwaited } = settings;
  const probe = (path: string) => ({ httpGet: { path, port: ports.admin } });
  const lifecycle = lifecycleOf(settings);
  return {
    name: PROXY_CONTAINER,
    image,
    imagePullPolicy,
    ...(isNative && { restartPolicy: "Always" }),
    args: ["proxy"],
    // Kubernetes would put other variables in the place of $(NAME).
    env: [["WEFT_CONFIG", config] as const, ...settings.variables].map(([name, value]) => ({
      name,
      value: value.replaceAll("$(", () => "$$("),
    })),
    ports: [
      { name: "weft-proxy", containerPort: ports.inbound, protocol: "TCP" },
      { name: "weft-admin", containerPort: ports.admin, protocol: "TCP" },
    ],
    ...(isNative && isAwaited && { startupProbe: { ...probe("/ready"), periodSeconds: 1, failureThreshold: AWAIT_S } }),
    livenessProbe: { ...probe("/live"), initialDelaySeconds: 10, periodSeconds: 10 },
    readinessProbe: { ...probe("/ready"), initialDelaySeconds: 2, periodSeconds: 5 },
    ...(lifecycle !== null && { lifecycle }),
    resources: resourcesOf(settings),
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      readOnlyRootFilesystem: true,
      runAsGroup: gid,
      runAsNonRoot: true,
      runAsUser: uid,
      seccompProfile: { type: "RuntimeDefault" },
    },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [
      { name: IDENTITY_VOLUME, mountPath: IDENTITY_FOLDER, readOnly: true },
      { name: STATE_VOLUME, mountPath: STATE_FOLDER },
    ],
  };
}

/** Without native sidecars kubelet starts containers in order and waits for each one's postStart. */
function lifecycleOf({ isNative, isAwaited, waitBeforeExitS, ports }: PodSettings): object | null {
  const ready = `exec 3<>/dev/tcp/127.0.0.1/${ports.admin} && printf 'GET /ready HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [[ $status == 200 ]]`;
  const hooks = {
    ...(!isNative &&
      isAwaited && {
        postStart: { exec: { command: ["timeout", String(AWAIT_S), "bash", "-c", `until (${ready}) 2>/dev/null; do sleep 0.2; done`] } },
      }),
    ...(waitBeforeExitS > 0 && { preStop: { exec: { command: ["sleep", String(waitBeforeExitS)] } } }),
  };
  return Object.keys(hooks).length > 0 ? hooks : null;
}

/** A request above a limit would be refused: where only a limit is given, it is the request as well (Kubernetes does that). */
function resourcesOf({ requests, limits }: PodSettings): object {
  const defaults = Object.fromEntries(Object.entries(REQUESTS).filter(([what]) => limits[what] === undefined));
  return { requests: { ...defaults, ...requests }, ...(Object.keys(limits).length > 0 && { limits }) };
}

function identityVolume(): object {
  return {
    name: IDENTITY_VOLUME,
    projected: {
      sources: [
        { serviceAccountToken: { path: TOKEN_FILE, audience: TOKEN_AUDIENCE, expirationSeconds: TOKEN_LIFE_S } },
        { configMap: { name: TRUST_ROOTS_CONFIG_MAP, items: [{ key: TRUST_ROOTS_KEY, path: "roots.pem" }] } },
      ],
    },
  };
}
