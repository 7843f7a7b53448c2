// Transparent mode: two hosts (network namespaces) with `weft init` and a proxy each, and applications that know nothing of it.
//
//   client 10.77.0.1   curl => proxy (4140)  ---wire---  proxy (4143) => servers 10.77.0.2:8080, :8081, ...
//
// What passed a proxy has its Via; where it went is told by the server that answered and by the proxies' metrics.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Metrics } from "../support/metrics.ts";
import { waitUntil } from "../support/wait.ts";
import { Namespace, NODE, PROXY_UID, type Ran, WEFT } from "./support/namespaces.ts";

interface Seen {
  /** `app:PORT` of the server that answered. */
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Who connected, and to which address. */
  readonly peer: string;
  readonly local: string;
}

/** `web` has two endpoints in each family, and a virtual address that nobody has. 9000 is in no document. */
const CLIENT_CONFIG = `
apiVersion: weft.dev/v1alpha1
kind: Proxy
metadata: {name: client, namespace: shop}
spec:
  workers: 2
  outbound: {listen: "[::]:4140", transparent: true}
  forwarded: true
---
apiVersion: weft.dev/v1alpha1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  ports: [{port: 80, protocol: http1}]
  loadBalancer: round-robin
  addresses: [10.96.0.1, "fd96::1"]
  endpoints:
    - address: 10.77.0.2:8080
    - address: 10.77.0.2:8081
---
apiVersion: weft.dev/v1alpha1
kind: Service
metadata: {name: web6, namespace: shop}
spec:
  loadBalancer: round-robin
  endpoints:
    - address: "[fd77::2]:8080"
    - address: "[fd77::2]:8081"
---
apiVersion: weft.dev/v1alpha1
kind: Service
metadata: {name: other, namespace: shop}
spec:
  endpoints: [{address: 10.77.0.2:8082}]
---
apiVersion: weft.dev/v1alpha1
kind: Service
metadata: {name: greeter, namespace: shop}
spec:
  endpoints: [{address: 10.77.0.2:2525}]
`;

const SERVER_CONFIG = `
apiVersion: weft.dev/v1alpha1
kind: Proxy
metadata: {name: server, namespace: shop}
spec:
  inbound:
    listen: "[::]:4143"
    transparent: true
    ports:
      - {port: 8090, target: "127.0.0.1:9000"}
      - {port: 8091, protocol: opaque}
  outbound: {listen: "off"}
  forwarded: true
`;

const HTTP_PORTS = "8080,8081,8082,8091,9000";

const logs = new Map<Namespace, string>();
let client: Namespace;
let server: Namespace;

/** Whether the rules are there decides nothing else: the application and its commands stay the same. */
async function curl(url: string, ...options: string[]): Promise<Ran> {
  return await client.runAsync("curl", "--silent", "--show-error", "--max-time", "10", "--noproxy", "*", ...options, url);
}

async function ask(url: string, ...options: string[]): Promise<Seen> {
  const { code, stdout, stderr } = await curl(url, "--fail", ...options);
  assert.equal(code, 0, `curl ${url}: ${stderr}`);
  return JSON.parse(stdout) as Seen;
}

/** Waits for the server's first word, says something, and tells everything that came. */
async function greet(host: string, port: number): Promise<string> {
  const script = `
    const socket = require("node:net").connect(${port}, ${JSON.stringify(host)});
    let said = "";
    socket.on("error", (error) => process.stdout.write(error.code));
    socket.on("data", (chunk) => { if (said === "") socket.write("hello"); said += chunk; });
    socket.on("close", () => process.stdout.write(said));
    socket.setTimeout(10000, () => { process.stdout.write("nothing came"); socket.destroy(); });`;
  return (await client.runAsync(NODE, "-e", script)).stdout;
}

async function metricsOf(namespace: Namespace): Promise<Metrics> {
  const { stdout, stderr } = await namespace.runAsync("curl", "--silent", "--show-error", "http://127.0.0.1:4191/metrics");
  assert.equal(stderr, "");
  return new Metrics(stdout);
}

async function startProxy(namespace: Namespace, config: string): Promise<void> {
  const child = namespace.start({ WEFT_CONFIG: config }, [NODE, WEFT, "proxy"], PROXY_UID);
  logs.set(namespace, "");
  for (const stream of [child.stdout!, child.stderr!])
    stream.on("data", (chunk: Buffer) => logs.set(namespace, logs.get(namespace)! + chunk.toString("utf8")));
  await waitUntil("the proxy to be ready", () => {
    if (child.exitCode !== null) throw new Error(`the proxy ended with ${child.exitCode}\n${logs.get(namespace)}`);
    return namespace.run("curl", "--silent", "--fail", "http://127.0.0.1:4191/ready").code === 0;
  });
}

function init(namespace: Namespace, ...options: string[]): Ran {
  const ran = namespace.run(NODE, WEFT, "init", ...options);
  assert.equal(ran.code, 0, ran.stderr);
  return ran;
}

/** The nat tables of both families, without counters and dates. */
function rules(namespace: Namespace): string {
  return ["iptables-save", "ip6tables-save"]
    .map((program) => namespace.run(program, "-t", "nat").stdout)
    .join("")
    .replace(/^#.*\n/gm, "")
    .replace(/\[\d+:\d+\]/g, "");
}

before(async () => {
  client = Namespace.create("client");
  server = Namespace.create("server");
  Namespace.join(client, ["10.77.0.1/24", "fd77::1/64"], server, ["10.77.0.2/24", "fd77::2/64"]);
  // Somewhere to send what goes to the virtual addresses: without a route there is nothing to redirect.
  client.run("ip", "route", "add", "default", "via", "10.77.0.2");
  client.run("ip", "-6", "route", "add", "default", "via", "fd77::2");
  const application = server.start({}, [NODE, "/mnt/test/peers/support/unaware-server.ts", "app", HTTP_PORTS, "2525"]);
  await new Promise((resolve, reject) => {
    application.stdout!.once("data", resolve);
    application.once("exit", () => reject(new Error("the application did not start")));
  });
  await startProxy(client, CLIENT_CONFIG);
  await startProxy(server, SERVER_CONFIG);
});

after(async () => {
  await client?.destroy();
  await server?.destroy();
});

describe("before weft init", () => {
  it("nothing passes a proxy", async () => {
    const seen = await ask("http://10.77.0.2:8080/");
    assert.equal(seen.headers["via"], undefined);
    assert.equal(seen.peer, "::ffff:10.77.0.1");
  });
});

describe("weft init", () => {
  it("writes its rules once, however often it runs, and leaves those of others", () => {
    server.run("iptables", "-t", "nat", "-A", "OUTPUT", "-d", "192.0.2.9/32", "-p", "tcp", "-j", "RETURN");
    init(client);
    init(server);
    const first = rules(server);
    assert.match(first, /--dst-type LOCAL -j WEFT_INBOUND/);
    assert.match(first, /-d 192\.0\.2\.9\/32 -p tcp -j RETURN/);
    init(server);
    assert.equal(rules(server), first);
    init(server, "--inbound-ports-to-ignore", "7000-7100");
    assert.match(rules(server), /--dports 4190:4191,7000:7100 -j RETURN/);
    init(server);
    assert.equal(rules(server), first);
  });
});

describe("an application that knows nothing of Weft", () => {
  it("passes both proxies, and its requests are balanced over the service that has the address", async () => {
    const names = new Set<string>();
    for (let i = 0; i < 6; i++) {
      const seen = await ask("http://10.77.0.2:8080/");
      names.add(seen.name);
      assert.equal(seen.headers["via"], "1.1 weft, 1.1 weft");
      assert.equal(seen.headers["x-forwarded-for"], "10.77.0.1, 10.77.0.1");
      assert.equal(seen.headers["host"], "10.77.0.2:8080");
      // The application sees its own host, never a client that looks like a local one.
      assert.equal(seen.peer, "::ffff:10.77.0.2");
      assert.equal(seen.local, "::ffff:10.77.0.2");
    }
    assert.deepEqual([...names].sort(), ["app:8080", "app:8081"]);
    const [out, into] = [await metricsOf(client), await metricsOf(server)];
    for (const port of ["8080", "8081"]) {
      const labels = { target_addr: `10.77.0.2:${port}`, status_code: "200" };
      assert.ok(out.sum("response_total", { ...labels, direction: "outbound", dst_service: "web" }) >= 2, `outbound ${port}`);
      assert.ok(into.sum("response_total", { ...labels, direction: "inbound" }) >= 2, `inbound ${port}`);
    }
  });

  it("passes over IPv6", async () => {
    const names = new Set<string>();
    for (let i = 0; i < 6; i++) {
      const seen = await ask("http://[fd77::2]:8080/");
      names.add(seen.name);
      assert.equal(seen.headers["via"], "1.1 weft, 1.1 weft");
      assert.equal(seen.peer, "fd77::2");
    }
    assert.deepEqual([...names].sort(), ["app:8080", "app:8081"]);
    assert.ok((await metricsOf(client)).sum("response_total", { dst_service: "web6" }) >= 6);
  });

  it("reaches a service by its virtual address and by a port that it declares", async () => {
    for (const url of ["http://10.96.0.1/", "http://[fd96::1]/", "http://10.77.0.2/"]) {
      const seen = await ask(url);
      assert.match(seen.name, /^app:808[01]$/, url);
      assert.equal(seen.headers["via"], "1.1 weft, 1.1 weft", url);
    }
  });

  it("goes where it connected to, whatever its requests name", async () => {
    for (const host of ["other", "other.shop.svc.cluster.local", "localhost", "nobody.example"]) {
      const seen = await ask("http://10.77.0.2:8080/", "--header", `Host: ${host}`);
      assert.match(seen.name, /^app:808[01]$/);
      assert.equal(seen.headers["host"], host);
    }
  });

  it("reaches what no document knows, straight", async () => {
    for (const [url, address] of [
      ["http://10.77.0.2:9000/", "10.77.0.2:9000"],
      ["http://[fd77::2]:9000/", "[fd77::2]:9000"],
    ] as const) {
      const seen = await ask(url);
      assert.equal(seen.name, "app:9000");
      assert.equal(seen.headers["via"], "1.1 weft, 1.1 weft");
      assert.equal((await metricsOf(client)).sum("response_total", { target_addr: address }), 1, address);
    }
  });

  it("speaks to a forward proxy as it would without Weft", async () => {
    const byConnect = await curl("http://inside.example/", "--proxytunnel", "--proxy", "http://10.77.0.2:9000", "--noproxy", "");
    assert.equal(byConnect.stdout, "app", byConnect.stderr);
    const { stdout } = await curl("http://inside.example/page", "--proxy", "http://10.77.0.2:9000", "--noproxy", "");
    const seen = JSON.parse(stdout) as Seen & { url: string };
    assert.equal(seen.url, "http://inside.example/page");
    assert.equal(seen.headers["via"], undefined);
  });

  it("hears a server that speaks first, of a service and of none", async () => {
    for (const [host, port] of [
      ["10.77.0.2", 2525],
      ["fd77::2", 2525],
    ] as const) {
      assert.equal(await greet(host, port), "220 app\r\nyou said hello");
    }
    const metrics = await metricsOf(client);
    assert.equal(metrics.sum("tcp_open_total", { peer: "dst", target_addr: "10.77.0.2:2525", dst_service: "greeter" }), 1);
    assert.equal(metrics.sum("tcp_open_total", { peer: "dst", target_addr: "[fd77::2]:2525" }), 1);
  });

  it("is told at once that nobody listens where it wanted to go", async () => {
    const { stdout } = await curl("http://10.77.0.2:9999/", "--output", "/dev/null", "--write-out", "%{http_code}");
    assert.equal(stdout, "502");
    assert.match(await greet("10.77.0.2", 9998), /^(|ECONNRESET)$/);
  });
});

describe("an inbound port with rules of its own", () => {
  it("has another target", async () => {
    assert.equal((await ask("http://10.77.0.2:8090/")).name, "app:9000");
  });

  it("speaks what it is declared to speak", async () => {
    // Opaque at the server's proxy, so only the client's has left its mark.
    assert.equal((await ask("http://10.77.0.2:8091/")).headers["via"], "1.1 weft");
  });
});

describe("a connection to a transparent listener itself", () => {
  it("is refused as a loop, here and from elsewhere", async () => {
    for (const url of ["http://127.0.0.1:4140/", "http://[::1]:4140/"]) {
      const { stdout } = await curl(url, "--output", "/dev/null", "--dump-header", "-");
      assert.match(stdout, /^HTTP\/1\.1 508 /, url);
      assert.match(stdout, /l5d-proxy-error: .*WEFT_LOOP/i, url);
    }
    for (const url of ["http://10.77.0.2:4143/", "http://[fd77::2]:4143/"]) {
      const { stdout } = await curl(url, "--output", "/dev/null", "--write-out", "%{http_code}");
      assert.equal(stdout, "508", url);
    }
    assert.match(await greet("127.0.0.1", 4140), /^(nothing came|ECONNRESET)?$/);
  });
});

describe("a proxy that is not the user that is exempt", () => {
  it("refuses what it made itself, and says what to do", async () => {
    init(client, "--proxy-uid", "2103");
    // Not to 9000: there the pool has connections from before.
    const loops = await metricsOf(client);
    for (let i = 0; i < 3; i++) {
      const { stdout } = await curl("http://10.77.0.2:8082/", "--output", "/dev/null", "--write-out", "%{http_code}");
      assert.equal(stdout, "508");
    }
    const opened = (await metricsOf(client)).sum("tcp_open_total", { peer: "src" }) - loops.sum("tcp_open_total", { peer: "src" });
    // Two workers, each of which looks again when it has 16 connections.
    assert.ok(opened <= 2 * 16 + 2 * 3, `${opened} connections for 3 requests`);
    assert.match(logs.get(client)!, /WEFT_LOOP\] connections of this proxy's own user are redirected to it.*--proxy-uid 2102/);
    init(client);
    await waitUntil("it to serve again", async () => (await curl("http://10.77.0.2:8082/", "--fail")).code === 0);
  });
});

describe("what weft init leaves alone", () => {
  it("the ports to ignore, and the proxies' admin port", async () => {
    init(client, "--outbound-ports-to-ignore", "8082");
    init(server, "--inbound-ports-to-ignore", "8082");
    const seen = await ask("http://10.77.0.2:8082/");
    assert.equal(seen.headers["via"], undefined);
    assert.equal(seen.peer, "::ffff:10.77.0.1");
    init(client, "--subnets-to-ignore", "10.77.0.0/16,fd77::/16");
    for (const url of ["http://10.77.0.2:8080/", "http://[fd77::2]:8080/"]) {
      assert.equal((await ask(url)).headers["via"], "1.1 weft", url);
    }
  });

  it("everything, once it has removed its rules", async () => {
    const others = "-d 192.0.2.9/32 -p tcp -j RETURN";
    for (const namespace of [client, server]) {
      init(namespace, "--remove");
      assert.doesNotMatch(rules(namespace), /WEFT/);
      assert.match(init(namespace, "--remove").stdout, /nothing to remove/);
    }
    assert.ok(rules(server).includes(others));
    const seen = await ask("http://10.77.0.2:8080/");
    assert.equal(seen.headers["via"], undefined);
    assert.equal(seen.peer, "::ffff:10.77.0.1");
  });
});
