import { ServerCredentials } from "@grpc/grpc-js";
import type { Provider } from "../define";
import type { Logger } from "../runtime/operation";
import { serveConnection, type Connection } from "../runtime/server";
import type { Shared } from "../runtime/session";
import { listen } from "./listener";

export interface ReattachOptions {
  /** Where to make the socket's directory. @default - the system's directory for temporary files */
  readonly socketDir?: string;
  /** The provider's source, without a host. @default `NAME/NAME` */
  readonly source?: string;
  /** Where log lines of handlers go. @default - nowhere */
  readonly log?: Logger;
}

/** A provider that is served inside this process. */
export interface ReattachedProvider {
  /** The value of the environment variable `TF_REATTACH_PROVIDERS`. Serves both Terraform's and OpenTofu's addresses. */
  readonly reattachConfig: string;
  /** Stops what runs, ends all connections and removes the socket. */
  close(): Promise<void>;
}

const REGISTRIES = ["registry.terraform.io", "registry.opentofu.org"];

/**
 * Serves a provider inside this process, for any number of Terraform commands, one after another or at once. Terraform then starts
 * no plugin process, which takes most of the time of a small plan. Whoever may open the socket may use the provider: its
 * directory is private to the user.
 */
export async function serveReattach(
  provider: Provider,
  options: ReattachOptions = {},
): Promise<ReattachedProvider> {
  const shared: Shared = { provider, log: options.log ?? (() => undefined), last: undefined };
  const connections = new Set<Connection>();
  const credentials = ServerCredentials.createInsecure();
  const listener = await listen((socket) => {
    const connection = serveConnection(socket, shared, credentials, () => undefined);
    connections.add(connection);
    socket.once("close", () => connections.delete(connection));
  }, options.socketDir);
  const { network, address } = listener.endpoint;
  const entry = {
    Protocol: "grpc",
    ProtocolVersion: 6,
    Pid: process.pid,
    Test: true,
    Addr: { Network: network, String: address },
  };
  const source = options.source ?? `${provider.name}/${provider.name}`;
  return {
    reattachConfig: JSON.stringify(
      Object.fromEntries(REGISTRIES.map((host) => [`${host}/${source}`, entry])),
    ),
    close: async () => {
      for (const connection of connections) connection.close();
      await new Promise<void>((resolve) => listener.server.close(() => resolve()));
      listener.remove();
    },
  };
}
