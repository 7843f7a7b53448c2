// `weft identity HOST:PORT`: what it prints of real proxies, what it says of everything else that may listen there, and its exit codes.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { IdentityComponent } from "../control/support/identity-component.ts";
import { Authority } from "../support/certificates.ts";
import { startApp } from "../support/origin-app.ts";
import { freePorts } from "../support/ports.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import { weft } from "./identity-support.ts";

const WEB = "web.shop.serviceaccount.identity.weft.cluster.local";
const DB = "db.shop.serviceaccount.identity.weft.cluster.local";
const WEB_URI = "spiffe://cluster.local/ns/shop/sa/web";

const authority = new Authority("identity test root");
const other = new Authority("another root");

const hex = (certificate: X509Certificate): string => certificate.fingerprint256.replaceAll(":", "").toLowerCase();

describe("weft identity", () => {
  let folder: string;
  let trust: string;
  let strangers: string;
  let app: Awaited<ReturnType<typeof startApp>>;
  let web: ProxyProcess;
  let ended: ProxyProcess;
  let leaf: X509Certificate;
  let chain: string;
  const servers: Server[] = [];

  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const serve = async (server: Server): Promise<string> => {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const serveTls = (options: TlsOptions): Promise<string> => {
    const server = createTlsServer(options, (socket) => socket.on("error", () => undefined));
    server.on("tlsClientError", () => undefined);
    return serve(server);
  };
  const meshPort = (proxy: ProxyProcess): string => `127.0.0.1:${proxy.listener("inbound")}`;
  const adminPort = (proxy: ProxyProcess): string => `127.0.0.1:${proxy.adminPort}`;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "weft-identity-show-"));
    app = await startApp({ name: "web" });
    const issuer = authority.intermediate("identity test issuer");
    const pair = issuer.issue({ names: [WEB, WEB_URI], usages: ["server", "client"] });
    leaf = new X509Certificate(pair.cert);
    chain = leaf.toString() + new X509Certificate(issuer.cert).toString();
    trust = file("trust.pem", authority.cert);
    strangers = file("strangers.pem", other.cert);
    const identity = { cert: file("web.crt", chain), key: file("web.key", pair.key), trust };
    web = await ProxyProcess.start({ services: {}, identity, inbound: { target: app.address } });
    const past = authority.issue({ names: [DB], notBefore: new Date("2020-01-01T00:00:00Z"), notAfter: new Date("2020-01-02T00:00:00Z") });
    const over = { cert: file("db.crt", past.cert), key: file("db.key", past.key), trust };
    ended = await ProxyProcess.start({ services: {}, identity: over, inbound: { target: app.address } });
  });
  after(async () => {
    for (const server of servers) server.close();
    await stopProxy(web);
    await stopProxy(ended);
    await app.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it("prints the chain of a proxy whose name its admin port tells, and that it verifies", async () => {
    const { code, stdout, stderr } = await weft("identity", meshPort(web), "--admin", adminPort(web), "--trust", trust);
    assert.deepEqual([code, stderr], [0, ""]);
    const lines = stdout.split("\n").map((line) => line.trim().replace(/ {2,}/, " "));
    for (const line of [
      `PROXY ${meshPort(web)} (1 of 1)`,
      `Identity: ${WEB}`,
      `SPIFFE ID: ${WEB_URI}`,
      `Verified: yes, by ${trust}, root ${hex(new X509Certificate(authority.cert))}`,
      "Certificate 1 of 2",
      `Serial Number: ${leaf.serialNumber.toLowerCase()}`,
      `Not Before: ${leaf.validFromDate.toISOString().replace(".000", "")}`,
      "Public Key: ECDSA P-256",
      "Signature Algorithm: ecdsa-with-SHA256",
      `Alternative Names: DNS:${WEB}, URI:${WEB_URI}`,
      "Extended Key Usage: TLS server, TLS client",
      `SHA-256 Fingerprint: ${hex(leaf)}`,
      "Certificate 2 of 2",
      "Subject: CN=identity test issuer",
      "Issuer: CN=identity test root",
    ])
      assert.ok(lines.includes(line), `${line}\n---\n${stdout}`);
    assert.match(stdout, /Protocol: {2}TLSv1\.3, TLS_AES_128_GCM_SHA256, ALPN h2\n/);
    assert.match(stdout, new RegExp(`Not After: +${leaf.validToDate.toISOString().replace(".000", "")} \\(in \\d+[dhms]`));
  });

  it("-o json has the same for programs, of several proxies at once, and says what each is worth", async () => {
    const { code, stdout, stderr } = await weft("identity", meshPort(web), meshPort(ended), "--name", WEB, "--trust", trust, "-o", "json");
    const [first, second] = JSON.parse(stdout) as [Record<string, unknown>, Record<string, unknown>];
    // The other one is not web: it passes what is not for it on to its service, which speaks no TLS.
    assert.equal(code, 1);
    assert.equal(stderr, "");
    const { chain: shown, ...rest } = first as { chain: Record<string, unknown>[] };
    assert.deepEqual(rest, {
      address: meshPort(web),
      serverName: WEB,
      identity: WEB,
      spiffeId: WEB_URI,
      protocol: "TLSv1.3",
      cipher: "TLS_AES_128_GCM_SHA256",
      alpn: "h2",
      verified: { ok: true, reason: null, trust, root: hex(new X509Certificate(authority.cert)) },
    });
    assert.deepEqual(
      shown.map(({ isAuthority, fingerprint, notAfter, dnsNames }) => ({ isAuthority, fingerprint, notAfter, dnsNames })),
      [...chain.matchAll(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g)]
        .map(([pem]) => new X509Certificate(pem))
        .map((it) => ({ isAuthority: it.ca, fingerprint: hex(it), notAfter: it.validToDate.toISOString(), dnsNames: it.ca ? [] : [WEB] })),
    );
    assert.deepEqual(Object.keys(second), ["address", "error"]);
  });

  it("--pem is the chain as it was shown", async () => {
    const { code, stdout } = await weft("identity", meshPort(web), "--name", WEB_URI, "--pem");
    assert.equal(code, 0);
    assert.equal(stdout, `# PROXY ${meshPort(web)} (1 of 1)\n${chain}`);
  });

  it("without roots an ended certificate is shown as such; with them the command fails, as a proxy would", async () => {
    const shown = await weft("identity", meshPort(ended), "--admin", adminPort(ended));
    assert.deepEqual([shown.code, shown.stderr], [0, ""]);
    assert.match(shown.stdout, /Not After: +2020-01-02T00:00:00Z \(EXPIRED \d+d/);
    assert.match(shown.stdout, /Verified: {2}not asked for: --trust FILE/);
    const judged = await weft("identity", meshPort(ended), "--admin", adminPort(ended), "--trust", trust);
    assert.equal(judged.code, 1);
    assert.match(judged.stdout, /Verified: {2}NO: \[WEFT_PEER_EXPIRED\]/);
    assert.match(judged.stderr, /does not verify: \[WEFT_PEER_EXPIRED\]/);
    const strange = await weft("identity", meshPort(web), "--name", WEB, "--trust", strangers);
    assert.equal(strange.code, 1);
    assert.match(strange.stderr, /\[WEFT_PEER_UNTRUSTED\]/);
  });

  it("shows who asks for a certificate that nobody has: in TLS 1.3 the server's comes first", async () => {
    const { cert, key } = authority.issue({ names: [WEB] });
    const address = await serveTls({ cert, key, ca: authority.cert, requestCert: true, rejectUnauthorized: true, minVersion: "TLSv1.3" });
    const { code, stdout } = await weft("identity", address, "--name", WEB, "--trust", trust);
    assert.equal(code, 0, stdout);
    assert.match(stdout, new RegExp(`Identity: {2}${WEB}\n`));
  });

  it("another identity than the one asked for is said, also when its certificate is good", async () => {
    const { cert, key } = authority.issue({ names: [DB] });
    const address = await serveTls({ cert, key });
    const { code, stderr } = await weft("identity", address, "--name", WEB, "--trust", trust);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`\\[WEFT_PEER_OTHER_IDENTITY\\] it is ${DB}, and ${WEB} was expected`));
  });

  it("a proxy that speaks something else within TLS is asked again without a protocol", async () => {
    const { cert, key } = authority.issue({ names: [WEB] });
    const { code, stdout } = await weft(
      "identity",
      await serveTls({ cert, key, ALPNProtocols: ["transport.l5d.io/v1"] }),
      "--name",
      WEB,
      "-o",
      "json",
    );
    assert.equal(code, 0);
    assert.equal((JSON.parse(stdout) as [{ alpn: string | null }])[0].alpn, null);
  });

  it("a chain in the wrong order, or with a stranger in it, is shown as it was sent, and said to be so", async () => {
    const { cert, key } = authority.issue({ names: [WEB] });
    const { code, stdout } = await weft("identity", await serveTls({ cert: cert + other.cert, key }), "--name", WEB);
    assert.equal(code, 0);
    assert.match(stdout, /\nCertificate 1 of 2 \(NOT ISSUED BY THE NEXT ONE\)\n/);
    assert.match(stdout, /\nCertificate 2 of 2\n {4}Subject: +CN=another root\n/);
  });

  it("what a stranger's certificate holds does nothing to a terminal", async () => {
    const { cert, key } = authority.issue({
      names: ["a\u009b31m.b\u001b[2J\nIdentity:  root"],
      commonName: "c\u001b]0;d\u0007\nVerified:  yes",
    });
    const { code, stdout, stderr } = await weft("identity", await serveTls({ cert, key }), "--trust", trust);
    assert.equal(code, 1);
    for (const text of [stdout, stderr]) assert.match(text, /^[\x20-\x7e\n]+$/);
    assert.deepEqual(
      stdout.match(/^ *(?:Identity|Verified): .*$/gm)!.map((line) => line.slice(0, 16)),
      ["Identity:  none:", "Verified:  NO: ["],
    );
  });

  it("a server of the web is shown, and is no proxy", async () => {
    const { cert, key } = authority.issue({ names: ["www.example.com"] });
    const { code, stdout, stderr } = await weft("identity", await serveTls({ cert, key }));
    assert.equal(code, 1);
    assert.match(stdout, /DNS:www\.example\.com/);
    assert.match(stderr, /nobody's in the mesh: its DNS name "www\.example\.com" is no workload's/);
  });

  it("the identity component shows its whole chain to whoever comes, without a name", async () => {
    const component = await IdentityComponent.start();
    try {
      const { code, stdout, stderr } = await weft("identity", `127.0.0.1:${component.controller.port}`, "--data", component.folder);
      assert.deepEqual([code, stderr], [0, ""]);
      assert.match(stdout, /Identity: {2}identity\.weft\.serviceaccount\.identity\.weft\.cluster\.local\n/);
      assert.match(stdout, /Certificate 3 of 3\n {4}Subject: +CN=weft root [0-9a-f]{8}\n/);
    } finally {
      await component.remove();
    }
  });

  it("says what listens there instead: nobody, plain text, an older TLS, no certificate, silence", async () => {
    const [nobody] = await freePorts(1);
    const http = createHttpServer((_, response) => response.end());
    const silent = createTcpServer((socket) => socket.on("error", () => undefined));
    const banner = createTcpServer((socket) => socket.on("error", () => undefined).end("220 mail.example.com ESMTP\r\n"));
    const { cert, key } = authority.issue({ names: [WEB] });
    const cases: readonly (readonly [string, RegExp])[] = [
      [`127.0.0.1:${nobody}`, /it cannot be reached: .*ECONNREFUSED/],
      [await serve(http), /no TLS .*plain text, so it is no proxy of a mesh/],
      [await serve(banner), /no TLS .*plain text, so it is no proxy of a mesh/],
      [await serveTls({ cert, key, maxVersion: "TLSv1.2" }), /not TLS 1\.3: it is no proxy of a mesh/],
      [await serveTls({}), /no certificate for TLS 1\.3/],
      [await serve(silent), /begins no TLS within 5 s: a proxy that waits for its first certificate does so/],
    ];
    const { code, stdout, stderr } = await weft("identity", ...cases.map(([address]) => address), "--name", WEB);
    assert.deepEqual([code, stdout], [1, ""]);
    for (const [address, expected] of cases) {
      const line = stderr.split("\n").find((text) => text.startsWith(`weft identity: ${address}: `));
      assert.match(line ?? "", expected, stderr);
    }
  });

  it("a proxy that is asked by no name, or by a wrong one, is said to need its name", async () => {
    const nameless = await weft("identity", meshPort(web));
    assert.equal(nameless.code, 1);
    assert.match(nameless.stderr, /give --name IDENTITY, or --admin HOST:PORT/);
    const wrong = await weft("identity", meshPort(web), "--name", DB);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /or one that passes this on to its service|passes TLS on to its service/);
    const another = await weft("identity", meshPort(web), "--admin", adminPort(ended));
    assert.equal(another.code, 1);
    assert.match(
      another.stderr,
      new RegExp(`it was asked for as ${DB}, as the proxy behind the admin port is called; if that is another one, give --name`),
    );
  });

  it("options that mean nothing are refused before anything is dialled", async () => {
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [["rotat"], /"rotat": it has no port; or one of the commands rotate, recover, token\?/],
      [["127.0.0.1"], /it has no port; did you mean 127\.0\.0\.1:4143\?/],
      [["[::1]"], /it has no port; did you mean \[::1\]:4143\?/],
      [["127.0.0.1:1", "--name", "Web"], /--name: "Web" is no identity; expected one such as web\.shop/],
      [["127.0.0.1:1", "--trust", trust, "--data", folder], /--trust and --data exclude each other/],
      [["127.0.0.1:1", "--trust", join(folder, "web.key")], /web\.key is no trust bundle/],
      [["127.0.0.1:1", "--trust", join(folder, "none.pem")], /none\.pem cannot be read \(ENOENT\)/],
      [["127.0.0.1:1", "127.0.0.1:2", "--admin", "127.0.0.1:3"], /--admin is one proxy's/],
      [["127.0.0.1:1", "--pem", "-o", "json"], /--pem and -o json exclude each other/],
    ];
    for (const [args, expected] of cases) {
      const { code, stdout, stderr } = await weft("identity", ...args);
      assert.deepEqual([code, stdout], [1, ""], args.join(" "));
      assert.match(stderr, expected);
    }
  });
});
