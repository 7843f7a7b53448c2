// /env.json: what of an environment is shown, variable by variable, over a real socket.

import assert from "node:assert/strict";
import { test } from "node:test";
import { environmentResponse } from "../../src/admin/environment.ts";
import { BACKENDS, run } from "./support/backends.ts";
import { ask } from "./support/raw-http.ts";

const HIDDEN = "(hidden)";
const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ3ZWIifQ.c2lnbmF0dXJl";
const PEM = "-----BEGIN PRIVATE KEY-----\nMHcCAQEEIA==\n-----END PRIVATE KEY-----";

/** By their names. */
const SECRETS = [
  "WEFT_IDENTITY_TOKEN",
  "WEFT_CONFIG",
  "DB_PASSWORD",
  "MYSQL_PWD",
  "PGPASSWORD",
  "SSH_PASSPHRASE",
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "STORAGEACCOUNTKEY",
  "ENCRYPTIONKEY",
  "signingKey",
  "GITHUB_TOKEN",
  "GITHUB_PAT",
  "NPM_CONFIG__AUTH",
  "OAUTH2",
  "BASICAUTH",
  "HTTP_AUTHORIZATION",
  "AUTHORIZATION",
  "GOOGLE_APPLICATION_CREDENTIALS",
  "KAFKA_CREDS",
  "CLIENT_PRIVATE",
  "SESSION_COOKIE",
  "BEARER",
  "APP_JWT",
  "SENTRY_DSN",
  "PASSWORD_SALT",
  "CARD_PIN",
  "SLACK_WEBHOOK_URL",
  "AZURE_CONNECTION_STRING",
  "DB_CONNSTR",
] as const;

/** By their values, under names that say nothing. */
const VALUES: Readonly<Record<string, readonly [value: string, shown: string]>> = {
  A1: [JWT, HIDDEN],
  A2: [`Bearer ${JWT}`, HIDDEN],
  A3: [PEM, HIDDEN],
  A4: [JSON.stringify({ type: "account", pem: PEM }), HIDDEN],
  B1: ["host=db user=app password=hunter2", HIDDEN],
  B2: ["Server=db;Uid=app;Pwd=hunter2;", HIDDEN],
  B3: ["Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=aHVudGVy", HIDDEN],
  B4: ["https://host/path?access_token=hunter2", HIDDEN],
  B5: ["https://host/blob?sv=2024&sig=hunter2", HIDDEN],
  B6: ["-Xmx1g -Djavax.net.ssl.keyStorePassword=hunter2", HIDDEN],
  B7: ['{"user": "app", "password": "hunter2"}', HIDDEN],
  C1: ["postgres://app:hunter2@db:5432/x", `postgres://${HIDDEN}@db:5432/x`],
  C2: ["redis://:hunter2@cache:6379", `redis://${HIDDEN}@cache:6379`],
  C3: ["https://hunter2@host/x", `https://${HIDDEN}@host/x`],
  C4: ["postgres://app:hun@ter2@db/x", `postgres://${HIDDEN}@db/x`],
  C5: ["postgres://app:hun/ter2@db/x", `postgres://${HIDDEN}@db/x`],
  C6: ["app:hunter2@proxy:3128", `${HIDDEN}@proxy:3128`],
  C7: ["http://a:hunter2@one http://b:hunter2@two", `http://${HIDDEN}@one http://${HIDDEN}@two`],
};

/** Shown as they are. */
const OPEN: Readonly<Record<string, string>> = {
  PATH: "/usr/local/bin:/opt/pass:/bin",
  HOME: "/root",
  HOSTNAME: "web-1",
  GIT_AUTHOR_NAME: "somebody",
  NODE_OPTIONS: "--max-old-space-size=64",
  LANG: "C.UTF-8",
  PGHOST: "db",
  URL: "http://web:8080/a?b=c",
  REMOTE: "git@host:group/project",
  LIST: "one:1,two:2",
  WEFT_LOG: "info",
  CA: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
  EMPTY: "",
};

for (const backend of BACKENDS) {
  test(`${backend}: /env.json hides what is a secret by its name or by its value, and nothing else`, async (t) => {
    const environment: Record<string, string> = { ...OPEN };
    for (const name of SECRETS) environment[name] = "hunter2";
    for (const [name, [value]] of Object.entries(VALUES)) environment[name] = value;
    const { port } = await run(t, backend, (server) =>
      server.route("GET", "/env.json", (request) => environmentResponse(request, environment)),
    );
    const { body } = await ask(port, "GET", "/env.json");
    const expected: Record<string, string> = { ...OPEN };
    for (const name of SECRETS) expected[name] = HIDDEN;
    for (const [name, [, shown]] of Object.entries(VALUES)) expected[name] = shown;
    assert.deepEqual(JSON.parse(body.toString()), expected);
    for (const secret of ["hunter2", "ter2", "eyJ", "MHcC"]) assert.ok(!body.includes(secret));
  });
}
