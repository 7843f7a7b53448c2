// An identity component within the test's process: a folder of its own, free ports, short lives where a test wants them.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { IdentityLog } from "../../../src/control/identity/authority.ts";
import { IdentityController } from "../../../src/control/identity/identity-controller.ts";
import type { ControllerSettings } from "../../../src/control/identity/identity-controller.ts";
import { DEFAULT_ROTATION, openIdentityFolder } from "../../../src/control/identity/token-maker.ts";
import type { RotationSettings } from "../../../src/core/identity/rotation.ts";
import type { TokenUse } from "../../../src/core/identity/join-token.ts";
import { removeFolder, temporaryFolder } from "../../support/temporary-folder.ts";
import { connect, type Connection } from "./identity-client.ts";

export interface ComponentOptions extends Partial<Omit<ControllerSettings, "rotation">> {
  readonly rotation?: Partial<RotationSettings>;
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export class IdentityComponent {
  readonly folder: string;
  readonly lines: LogLine[] = [];
  controller!: IdentityController;
  readonly #options: ComponentOptions;
  readonly #connections: Connection[] = [];
  /** Null: the folder is the test's. */
  readonly #own: string | null;

  private constructor(options: ComponentOptions) {
    this.#options = options;
    this.#own = options.data === undefined ? temporaryFolder("weft-identity-") : null;
    this.folder = options.data ?? join(this.#own!, "data");
  }

  static async start(options: ComponentOptions = {}): Promise<IdentityComponent> {
    const component = new IdentityComponent(options);
    await component.start();
    return component;
  }

  async start(): Promise<void> {
    const log: IdentityLog = (level, message, fields = {}) => this.lines.push({ level, message, fields });
    const { rotation, ...rest } = this.#options;
    this.controller = await IdentityController.start(
      {
        names: {},
        listen: { host: "127.0.0.1", port: 0 },
        admin: { host: "127.0.0.1", port: 0 },
        given: null,
        serviceAccounts: null,
        version: "0.0.0",
        ...rest,
        data: this.folder,
        rotation: { ...DEFAULT_ROTATION, ...rotation },
      },
      log,
    );
  }

  /** PEM of the trust bundle now. */
  get bundle(): string {
    return readFileSync(join(this.folder, "bundle.pem"), "utf8");
  }

  async token(name = "web", use: TokenUse = "file", ttlS = 3600): Promise<string> {
    return await (await openIdentityFolder(this.folder)).createToken({ name, namespace: "shop", use, ttlS });
  }

  /** A connection that `stop` closes. */
  connect(client: { readonly cert?: string; readonly key?: string; readonly ca?: string } = {}): Connection {
    const connection = connect({ port: this.controller.port, ca: this.bundle, ...client });
    this.#connections.push(connection);
    return connection;
  }

  async admin(method: string, path: string, body = "", headers: Record<string, string> = {}): Promise<{ status: number; text: string }> {
    const answer = await fetch(`http://127.0.0.1:${this.controller.adminPort}${path}`, {
      method,
      headers,
      ...(method === "POST" && { body }),
    });
    return { status: answer.status, text: await answer.text() };
  }

  get authorization(): Record<string, string> {
    return { authorization: `Bearer ${readFileSync(join(this.folder, "admin.secret"), "utf8").trim()}` };
  }

  async stop(): Promise<void> {
    for (const connection of this.#connections.splice(0)) connection.close();
    await this.controller.close();
  }

  async remove(): Promise<void> {
    await this.stop();
    if (this.#own !== null) removeFolder(this.#own);
  }
}
