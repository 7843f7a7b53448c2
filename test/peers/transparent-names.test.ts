// A service's container that has just begun has an address that no proxy has heard of, and applications ask for its name before the proxy does again. Their
// first connection there must not go past the mesh: it waits until the proxy has asked, too.
//
//   client 10.77.0.1   curl => proxy (4140)  ---wire---  servers 10.77.0.2:8080, 10.77.0.3:8080, ...

import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { Metrics } from "../support/metrics.ts";
import { waitUntil } from "../support/wait.ts";
import { Namespace, NODE, PROXY_UID, WEFT } from "./support/namespaces.ts";

/** Says its address, then a line for each question. From SIGUSR2 on the name has a second address. Answers are good for ten minutes. */
const DNS = `
const { DnsServer } = await import("/mnt/test/support/dns-server.ts");
const dns = await DnsServer.start();
dns.set("web.test", { addresses: ["10.77.0.2"] });
process.on("SIGUSR2", () => dns.set("web.test", { addresses: ["10.77.0.2", "10.77.0.3"] }));
dns.questions.push = (question) => console.log(question);
console.log(dns.address);
`;

const config = (workers: number): string => `
apiVersion: weft.dev/v1alpha1
kind: Proxy
metadata: {name: client, namespace: shop}
spec:
  workers: ${workers}
  outbound: {listen: "[::]:4140", transparent: true}
  limits: {dnsTtlMaxMs: 3600000}
---
apiVersion: weft.dev/v1alpha1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  endpoints: [{dns: "web.test:8080"}]
`;

for (const workers of [0, 2]) {
  describe(`an address that a name has got since it was resolved, ${workers} workers`, () => {
    let client: Namespace;
    let server: Namespace;
    let dns: ChildProcess;
    let questions = 0;

    before(async () => {
      client = Namespace.create("client");
      server = Namespace.create("server");
      const addresses = [2, 3, 4, 5].map((last) => `10.77.0.${last}/24`);
      Namespace.join(client, ["10.77.0.1/24"], server, addresses);
      const application = server.start({}, [NODE, "/mnt/test/peers/support/unaware-server.ts", "app", "8080,8081", "2525"]);
      await firstLine(application, "the application");
      dns = client.start({}, [NODE, "--input-type=module", "--eval", DNS]);
      const address = await firstLine(dns, "the DNS server");
      dns.stdout!.on(
        "data",
        (chunk: Buffer) =>
          (questions += chunk
            .toString()
            .split("\n")
            .filter((line) => line.endsWith(" A")).length),
      );
      client.start({ WEFT_CONFIG: config(workers), WEFT_TEST_HOOKS: "1", WEFT_TEST_DNS: address }, [NODE, WEFT, "proxy"], PROXY_UID);
      await waitUntil(
        "the proxy to be ready",
        () => client.run("curl", "--silent", "--fail", "http://127.0.0.1:4191/ready").code === 0,
        60_000,
      );
      assert.equal(client.run(NODE, WEFT, "init").code, 0);
    });
    after(async () => {
      await client?.destroy();
      await server?.destroy();
    });

    const ask = async (host: string, port = 8080): Promise<void> => {
      const url = `http://${host}:${port}/`;
      const { code, stderr } = await client.runAsync(
        "curl",
        "--silent",
        "--show-error",
        "--fail",
        "--max-time",
        "20",
        "--noproxy",
        "*",
        url,
      );
      assert.equal(code, 0, `curl ${url}: ${stderr}`);
    };
    const answersOf = async (name: string): Promise<number> => {
      const { stdout } = await client.runAsync("curl", "--silent", "--show-error", "http://127.0.0.1:4191/metrics");
      return new Metrics(stdout).sum("response_total", { direction: "outbound", dst_service: name });
    };

    it("is the service's for the first connection to it", async () => {
      await ask("10.77.0.2");
      assert.equal(await answersOf("web"), 1);
      dns.kill("SIGUSR2");
      await ask("10.77.0.3");
      assert.equal(await answersOf("web"), 2);
    });

    it("is nobody's where the name does not have it: asked for once, then straight", async () => {
      const before = questions;
      await ask("10.77.0.4");
      await waitUntil("the question", () => questions === before + 1);
      await ask("10.77.0.4");
      await ask("10.77.0.4", 8081);
      assert.equal(await answersOf("web"), 2);
      // Of a port where no service with a name is, nothing is asked.
      assert.equal(questions, before + 1);
    });

    it("is nobody's where nobody answers, after a short wait", async () => {
      dns.kill("SIGKILL");
      await ask("10.77.0.5");
      assert.equal(await answersOf("web"), 2);
    });
  });
}

async function firstLine(child: ChildProcess, what: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    child.stdout!.once("data", (chunk: Buffer) => resolve(chunk.toString().split("\n")[0]!));
    child.stderr!.on("data", (chunk: Buffer) => process.stderr.write(chunk));
    child.once("exit", () => reject(new Error(`${what} did not start`)));
  });
}
