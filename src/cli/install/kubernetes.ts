// `weft install --target kubernetes`: the control plane as manifests. For now that is the identity component.
//
// It makes its own root at its first start and keeps it on a volume, so no secret is in what is printed. It is a StatefulSet of one: its store
// has one writer, and a StatefulSet never runs two pods of one name. High availability means that it comes back soon, not that there are two:
// proxies keep their certificates for a day and renew them at two thirds of it, so only new pods wait while it is away.

import { stringify } from "yaml";
import { isDnsLabel, isTrustDomain } from "../../core/identity/names.ts";
import { IDENTITY_PORT, IDENTITY_SERVICE, PART_LABEL } from "../inject/kubernetes/names.ts";

export interface KubernetesInstallOptions {
  readonly image: string;
  readonly controlNamespace: string;
  readonly trustDomain: string;
  /** `iss` of the cluster's service-account tokens. */
  readonly oidcIssuer: string;
  readonly isHighlyAvailable: boolean;
}

export const DEFAULT_OIDC_ISSUER = "https://kubernetes.default.svc.cluster.local";
/** Where the API server tells its keys. */
const JWKS = "https://kubernetes.default.svc/openid/v1/jwks";

const UID = 2103;
const ADMIN_PORT = 8089;
/** The component makes its own folder in the volume: the volume's own is the group's, too. */
const VOLUME_FOLDER = "/var/lib/weft";
const API_FOLDER = "/var/run/weft/api";
const DATA_SIZE = "128Mi";
/** Seconds that a node may be gone before the pod is given up there; Kubernetes' default is 300. */
const HA_GONE_S = 30;
/** Kubelet renews the token that is shown to the API server. */
const API_TOKEN_LIFE_S = 3600;

/** What is wrong with the options; empty when they can be used. */
export function installProblems({ controlNamespace, trustDomain, oidcIssuer, image }: KubernetesInstallOptions): readonly string[] {
  const problems: string[] = [];
  if (!isDnsLabel(controlNamespace))
    problems.push(`${JSON.stringify(controlNamespace)} is no namespace: 1 to 63 lower-case letters, digits and '-'`);
  if (!isTrustDomain(trustDomain)) problems.push(`${JSON.stringify(trustDomain)} is no trust domain; expected a name like cluster.local`);
  if (!URL.canParse(oidcIssuer) || !/^https?:$/.test(new URL(oidcIssuer).protocol)) {
    problems.push(
      `${JSON.stringify(oidcIssuer)} is no issuer: an address as \`kubectl get --raw /.well-known/openid-configuration\` tells`,
    );
  }
  if (image === "" || /\s/.test(image)) problems.push(`${JSON.stringify(image)} is no image`);
  return problems;
}

/** The manifests, one document each; the options must be good. */
export function kubernetesInstall(options: KubernetesInstallOptions): string {
  const { controlNamespace: namespace } = options;
  const documents: readonly (readonly [string, object])[] = [
    ["The control plane's namespace.", namespaceDocument(namespace)],
    [
      "As whom the identity component asks the API server for its keys; the API server tells them to every service account.",
      serviceAccount(namespace),
    ],
    ["That it may, said explicitly for clusters that have narrowed it.", keyReader(namespace)],
    ["Where proxies get their certificates.", service(namespace)],
    ["The identity component.", statefulSet(options)],
    ...(options.isHighlyAvailable
      ? ([
          ["A drained node may move it: with one writer the next one starts when this one has ended.", disruptionBudget(namespace)],
        ] as const)
      : []),
  ];
  return documents
    .map(([comment, value]) => `---\n# ${comment}\n${stringify(value, { lineWidth: 0, version: "1.1", aliasDuplicateObjects: false })}`)
    .join("");
}

const LABELS = { [PART_LABEL]: "identity" } as const;

function named(namespace: string): { readonly name: string; readonly namespace: string; readonly labels: typeof LABELS } {
  return { name: IDENTITY_SERVICE, namespace, labels: LABELS };
}

function namespaceDocument(namespace: string): object {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name: namespace,
      annotations: { "linkerd.io/inject": "disabled" },
      labels: { "pod-security.kubernetes.io/enforce": "restricted" },
    },
  };
}

function serviceAccount(namespace: string): object {
  return { apiVersion: "v1", kind: "ServiceAccount", metadata: named(namespace), automountServiceAccountToken: false };
}

function keyReader(namespace: string): object {
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: `weft-identity-${namespace}`, labels: LABELS },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:service-account-issuer-discovery" },
    subjects: [{ kind: "ServiceAccount", name: IDENTITY_SERVICE, namespace }],
  };
}

function service(namespace: string): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: named(namespace),
    spec: {
      selector: LABELS,
      ports: [{ name: "grpc", port: IDENTITY_PORT, targetPort: IDENTITY_PORT, protocol: "TCP", appProtocol: "tcp" }],
    },
  };
}

function statefulSet(options: KubernetesInstallOptions): object {
  const { controlNamespace: namespace, isHighlyAvailable } = options;
  const gone = (key: string) => ({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: HA_GONE_S });
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: named(namespace),
    spec: {
      serviceName: IDENTITY_SERVICE,
      replicas: 1,
      selector: { matchLabels: LABELS },
      template: {
        metadata: { labels: LABELS, annotations: { "linkerd.io/inject": "disabled" } },
        spec: {
          serviceAccountName: IDENTITY_SERVICE,
          automountServiceAccountToken: false,
          ...(isHighlyAvailable && {
            tolerations: [gone("node.kubernetes.io/not-ready"), gone("node.kubernetes.io/unreachable")],
          }),
          securityContext: {
            // Only the volume's own folder is given to the group, once: keys in it stay for their owner alone.
            fsGroup: UID,
            fsGroupChangePolicy: "OnRootMismatch",
            runAsNonRoot: true,
            runAsUser: UID,
            runAsGroup: UID,
            seccompProfile: { type: "RuntimeDefault" },
          },
          containers: [container(options)],
          volumes: [apiVolume()],
        },
      },
      volumeClaimTemplates: [
        {
          apiVersion: "v1",
          kind: "PersistentVolumeClaim",
          metadata: { name: "data", labels: LABELS },
          spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: DATA_SIZE } } },
        },
      ],
    },
  };
}

function container({ image, controlNamespace, trustDomain, oidcIssuer, isHighlyAvailable }: KubernetesInstallOptions): object {
  return {
    name: "identity",
    image,
    imagePullPolicy: "IfNotPresent",
    args: [
      "identity-controller",
      `--data=${VOLUME_FOLDER}/identity`,
      `--listen=0.0.0.0:${IDENTITY_PORT}`,
      `--admin=127.0.0.1:${ADMIN_PORT}`,
      `--trust-domain=${trustDomain}`,
      `--control-namespace=${controlNamespace}`,
      `--oidc-issuer=${oidcIssuer}`,
      `--oidc-jwks=${JWKS}`,
      `--oidc-jwks-token=${API_FOLDER}/token`,
    ],
    // The API server's certificate is below the cluster's own authority.
    env: [{ name: "NODE_EXTRA_CA_CERTS", value: `${API_FOLDER}/ca.crt` }],
    ports: [{ name: "grpc", containerPort: IDENTITY_PORT, protocol: "TCP" }],
    startupProbe: { ...probe("/ready"), periodSeconds: 2, failureThreshold: 60 },
    readinessProbe: { ...probe("/ready"), periodSeconds: 10 },
    livenessProbe: { ...probe("/live"), periodSeconds: 20 },
    resources: isHighlyAvailable
      ? { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "512Mi" } }
      : { requests: { cpu: "20m", memory: "96Mi" } },
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      readOnlyRootFilesystem: true,
    },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [
      { name: "data", mountPath: VOLUME_FOLDER },
      { name: "api", mountPath: API_FOLDER, readOnly: true },
    ],
  };
}

/** The admin port is for this pod only, so it is asked from within; no Node is started for that. */
function probe(path: string): { readonly exec: { readonly command: readonly string[] }; readonly timeoutSeconds: number } {
  const ask = `exec 3<>/dev/tcp/127.0.0.1/${ADMIN_PORT} && printf 'GET ${path} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [[ $status == 200 ]]`;
  return { exec: { command: ["bash", "-c", ask] }, timeoutSeconds: 5 };
}

function apiVolume(): object {
  return {
    name: "api",
    projected: {
      sources: [
        { serviceAccountToken: { path: "token", expirationSeconds: API_TOKEN_LIFE_S } },
        { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
      ],
    },
  };
}

function disruptionBudget(namespace: string): object {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: named(namespace),
    spec: { maxUnavailable: 1, unhealthyPodEvictionPolicy: "AlwaysAllow", selector: { matchLabels: LABELS } },
  };
}
