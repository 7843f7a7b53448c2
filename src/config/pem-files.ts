// PEM files that a document names: read, parsed and checked, every mistake at the key that named the file.
//
// Refused: a file's content where its path belongs, a file that cannot be read or is larger than PEM_BYTES_MAX, what is not PEM, a key with
// a passphrase, a key of another certificate, a pair that OpenSSL does not take. A certificate out of its time is a warning. No message ever quotes a file.

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { createSecureContext } from "node:tls";
import { contentKind, type ContentKind } from "../core/util/secret-text.ts";
import { TOKEN_VARIABLE } from "./config-source.ts";
import { formatPath } from "./problem.ts";
import type { Path, Problem } from "./problem.ts";
import type { ProxyContext } from "./proxy-context.ts";
import { show } from "./shape-problems.ts";

/** A chain of ten certificates has some 20 KB. */
export const PEM_BYTES_MAX = 1024 * 1024;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const ENCRYPTED_KEY = /BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/;

/** A certificate with its chain and its key, in PEM, and where they came from. */
export interface CertifiedKey {
  readonly certFile: string;
  readonly keyFile: string;
  readonly leaf: X509Certificate;
  readonly cert: string;
  readonly key: string;
}

/** Reads what the keys below `path` name; `files` is the value there. */
export class PemReader {
  readonly #context: ProxyContext;
  readonly #path: Path;
  readonly #files: Readonly<Record<string, string | undefined>>;

  constructor(context: ProxyContext, path: Path, files: Readonly<Record<string, string | undefined>>) {
    this.#context = context;
    this.#path = path;
    this.#files = files;
  }

  /** The files at `cert` and `key`, which must be a pair; null after at least one problem. */
  pair(): CertifiedKey | null {
    const certFile = this.locate("cert");
    const keyFile = this.locate("key");
    const certText = certFile === null ? null : this.#read("cert", certFile);
    const keyText = keyFile === null ? null : this.#read("key", keyFile);
    const chain = certText === null ? null : this.#parseChain("cert", certText);
    const key = keyText === null ? null : this.#parseKey(keyText);
    const leaf = chain?.[0];
    if (certFile === null || keyFile === null || chain === null || leaf === undefined || key === null) return null;
    if (!leaf.checkPrivateKey(key)) {
      return this.report("key", `is not the key of the certificate in ${show(this.#files["cert"])}`, "the two must be made together");
    }
    const cert = pemOf(chain);
    const pem = key.export({ type: "pkcs8", format: "pem" }).toString();
    try {
      createSecureContext({ cert, key: pem });
    } catch (error) {
      const { reason = "unknown reason" } = error as { reason?: string };
      return this.report("cert", `is no certificate that OpenSSL takes: ${reason}`, null);
    }
    this.#checkTime(leaf);
    return { certFile, keyFile, leaf, cert, key: pem };
  }

  /** The certificates at a key, as PEM; null after a problem. */
  certificates(which: string): { readonly file: string; readonly pem: string; readonly chain: readonly X509Certificate[] } | null {
    const file = this.locate(which);
    const text = file === null ? null : this.#read(which, file);
    const chain = text === null ? null : this.#parseChain(which, text);
    return file === null || chain === null ? null : { file, pem: pemOf(chain), chain };
  }

  /** The absolute path of what a key names; null after a problem. */
  locate(which: string): string | null {
    const { sourcePath, document } = this.#context;
    const file = this.#files[which] ?? "";
    const kind = contentKind(file);
    if (kind !== null) return this.#refuseContent(which, kind);
    if (sourcePath !== null) return resolve(dirname(document.file), file);
    return file.startsWith("/")
      ? file
      : this.report(which, "is a relative path, and there is no file that it could be relative to", "write it as an absolute path");
  }

  /** Never quotes it. */
  #refuseContent(which: string, kind: ContentKind): null {
    const path = [...this.#path, which];
    const message = `${formatPath(path)} is a path; this looks like the ${kind} itself`;
    const instead = which === "token" ? `, or set ${TOKEN_VARIABLE} to it` : "";
    const hint = `put it in a file that only the proxy can read, and name that file here${instead}`;
    this.#context.problems.push(this.#context.document.problemAt(path, "value", "error", message, hint));
    return null;
  }

  #read(which: string, file: string): string | null {
    try {
      const stat = statSync(file);
      this.#context.files.push({ path: file, mtimeMs: stat.mtimeMs, isNamed: true });
      if (!stat.isFile()) return this.report(which, "is no file", null);
      if (stat.size > PEM_BYTES_MAX) return this.report(which, `is larger than ${PEM_BYTES_MAX} bytes`, null);
      return readFileSync(file, "latin1");
    } catch (reason) {
      const { code } = reason as NodeJS.ErrnoException;
      if (code === "ENOENT") {
        this.#context.files.push({ path: file, mtimeMs: 0, isNamed: true });
        return this.report(which, "does not exist", `looked for ${file}`);
      }
      if (code === "EACCES" || code === "EPERM") return this.report(which, "may not be read", `check the permissions of ${file}`);
      return this.report(which, `cannot be read (${code ?? "unknown error"})`, `looked for ${file}`);
    }
  }

  #parseChain(which: string, text: string): readonly X509Certificate[] | null {
    const blocks = text.match(CERTIFICATE) ?? [];
    if (blocks.length === 0) {
      const hint = text.includes("PRIVATE KEY-----")
        ? "it has a private key: are cert and key swapped?"
        : "it must have lines -----BEGIN CERTIFICATE-----";
      return this.report(which, "has no certificate in PEM", hint);
    }
    const chain: X509Certificate[] = [];
    for (const [index, block] of blocks.entries()) {
      try {
        chain.push(new X509Certificate(block));
      } catch {
        return this.report(which, `is damaged: its certificate ${index + 1} of ${blocks.length} cannot be read`, null);
      }
    }
    return chain;
  }

  #parseKey(text: string): KeyObject | null {
    if (ENCRYPTED_KEY.test(text)) {
      return this.report("key", "has a passphrase, and nobody is there to type it", "write it without: openssl pkey -in OLD -out NEW");
    }
    if (!text.includes("PRIVATE KEY-----")) {
      const hint = text.includes("BEGIN CERTIFICATE")
        ? "it has a certificate: are cert and key swapped?"
        : "it must have a line -----BEGIN PRIVATE KEY-----";
      return this.report("key", "has no private key in PEM", hint);
    }
    try {
      return createPrivateKey(text);
    } catch {
      return this.report("key", "is damaged: its private key cannot be read", null);
    }
  }

  #checkTime({ validFrom, validTo }: X509Certificate): void {
    const now = Date.now();
    if (Date.parse(validTo) < now) this.report("cert", `expired on ${day(validTo)}`, "clients will refuse it", "warning");
    if (Date.parse(validFrom) > now) this.report("cert", `is not valid before ${day(validFrom)}`, "clients will refuse it", "warning");
  }

  /** Tells what is wrong with a key's file. */
  report(which: string, message: string, hint: string | null, severity: Problem["severity"] = "error"): null {
    const path = [...this.#path, which];
    const text = `${formatPath(path)} is ${show(this.#files[which])}, which ${message}`;
    this.#context.problems.push(this.#context.document.problemAt(path, "value", severity, text, hint));
    return null;
  }
}

function pemOf(chain: readonly X509Certificate[]): string {
  return chain.map((certificate) => certificate.toString()).join("");
}

function day(date: string): string {
  return new Date(date).toISOString().slice(0, 10);
}
