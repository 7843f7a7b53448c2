// Identities of a mesh in files, as `spec.identity` names them: one authority, any number of workloads, and whatever else a test signs.

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Authority, type Certificate, CertificateFiles, type LeafOptions, selfSigned } from "./certificates.ts";

/** The DNS form of a workload's identity. */
export function meshName(account: string): string {
  return `${account}.shop.serviceaccount.identity.weft.cluster.local`;
}

export function meshUri(account: string): string {
  return `spiffe://cluster.local/ns/shop/sa/${account}`;
}

/** `spec.identity`. */
export type IdentityFiles = Readonly<Record<"cert" | "key" | "trust", string>>;

/** One proxy's identity, in a folder of its own. */
export class MeshFiles {
  readonly #files: CertificateFiles;
  readonly #trust: string;

  constructor(certificate: Certificate, trust: string) {
    this.#files = new CertificateFiles(certificate);
    this.#trust = join(this.#files.folder, "trust.crt");
    writeFileSync(this.#trust, trust);
  }

  get paths(): IdentityFiles {
    return { ...this.#files.paths, trust: this.#trust };
  }

  /** Another certificate and key take the place of the old ones. */
  write(certificate: Certificate): void {
    this.#files.write(certificate);
  }

  /** Other roots. */
  trust(pem: string): void {
    writeFileSync(this.#trust, pem);
  }

  remove(): void {
    rmSync(this.#files.folder, { recursive: true, force: true });
  }
}

export class MeshAuthority extends Authority {
  /** A certificate for a workload, in both forms and for both sides. */
  workload(account: string, options: LeafOptions = {}): Certificate {
    return this.issue({ names: [meshName(account), meshUri(account)], usages: ["server", "client"], ...options });
  }

  /** A workload's identity in files that trust this authority. */
  files(account: string, options: LeafOptions = {}): MeshFiles {
    return new MeshFiles(this.workload(account, options), this.cert);
  }
}

/** A certificate that a peer must not be let in with. */
export interface Hostile {
  readonly what: string;
  /** With which it is refused. */
  readonly code: string;
  readonly error: string;
  readonly certificate: Certificate;
}

const DAY_MS = 86_400_000;

/** For each way in which a certificate for a workload can be wrong, whatever side shows it, one that is wrong in that way alone. */
export function hostileCertificates(authority: MeshAuthority, account: string): readonly Hostile[] {
  const name = meshName(account);
  const names = [name, meshUri(account)];
  const now = Date.now();
  const issue = (options: LeafOptions): Certificate => authority.issue({ names, usages: ["server", "client"], ...options });
  const hostile = (what: string, code: string, error: string, certificate: Certificate): Hostile => ({ what, code, error, certificate });
  const unnamed = (what: string, wrong: readonly string[]): Hostile =>
    hostile(what, "WEFT_PEER_IDENTITY", "peer without identity", issue({ names: wrong, commonName: name }));
  let deep: Authority = authority;
  for (let i = 0; i < 5; i++) deep = deep.intermediate(`intermediate ${i}`);
  const lost = authority.intermediate("lost").issue({ names });
  const END = "-----END CERTIFICATE-----\n";
  return [
    hostile(
      "expired",
      "WEFT_PEER_EXPIRED",
      "peer expired",
      issue({ notBefore: new Date(now - 2 * DAY_MS), notAfter: new Date(now - 1000) }),
    ),
    hostile("not valid yet", "WEFT_PEER_NOT_YET_VALID", "peer not yet valid", issue({ notBefore: new Date(now + DAY_MS / 2) })),
    hostile("of another root", "WEFT_PEER_UNTRUSTED", "peer untrusted", new Authority("elsewhere").issue({ names })),
    hostile("of another root of the same name", "WEFT_PEER_UNTRUSTED", "peer untrusted", new Authority(authority.name).issue({ names })),
    hostile("self-signed", "WEFT_PEER_UNTRUSTED", "peer untrusted", selfSigned({ names })),
    hostile("without its intermediate", "WEFT_PEER_UNTRUSTED", "peer untrusted", { ...lost, cert: lost.cert.split(END)[0]! + END }),
    hostile("issued by a leaf", "WEFT_PEER_PURPOSE", "peer purpose", issuedByLeaf(authority, names)),
    hostile("for signing code", "WEFT_PEER_PURPOSE", "peer purpose", issue({ usages: ["code"] })),
    hostile("RSA of 1024 bits", "WEFT_PEER_WEAK_KEY", "peer weak key", issue({ keyKind: "rsa1024" })),
    hostile("an unusual curve", "WEFT_PEER_WEAK_KEY", "peer weak key", issue({ keyKind: "P-521" })),
    hostile("over five intermediates", "WEFT_PEER_CHAIN_TOO_LONG", "peer chain too long", deep.issue({ names })),
    unnamed("its name in the common name only", []),
    unnamed("NUL behind its name", [`${name}\0.evil.example`]),
    unnamed("capitals in its name", [name.replace("shop", "SHOP")]),
    unnamed("quotes around its name", [`"${name}"`]),
    unnamed("a wildcard", [`*.${name.slice(name.indexOf(".") + 1)}`]),
    unnamed("a dot behind its name", [`${name}.`]),
    unnamed("two names", [name, meshName("other")]),
    unnamed("two names that differ in form", [name, meshUri("other")]),
    unnamed("an address beside its name", [name, "127.0.0.1"]),
    unnamed("a name that is no workload's", ["www.example.com"]),
  ];
}

/** A leaf that signs like an authority. */
function issuedByLeaf(authority: MeshAuthority, names: readonly string[]): Certificate {
  const leaf = new Authority("a leaf", authority, false);
  return leaf.issue({ names });
}
