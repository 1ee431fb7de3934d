import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where a plugin listens, as Terraform is told. */
export interface Endpoint {
  readonly network: "unix" | "tcp";
  /** A path, or `127.0.0.1:PORT`. */
  readonly address: string;
}

export interface Listener {
  readonly endpoint: Endpoint;
  readonly server: Server;
  /** Removes the socket and its directory. Synchronous: it is called when the process exits. */
  remove(): void;
}

/** Systems keep the path of a socket in 104 bytes or more, the last one a zero. */
const LONGEST_SOCKET_PATH = 103;

/**
 * Listens where only this user can connect: a socket in a private directory below `parent`, or a port on the loopback address if
 * there are no sockets or the path is too long.
 */
export async function listen(
  onConnection: (socket: Socket) => void,
  parent: string = tmpdir(),
): Promise<Listener> {
  const server = createServer(onConnection);
  const directory = join(parent, "terraform-provider-XXXXXX");
  if (process.platform === "win32" || Buffer.byteLength(join(directory, "socket")) > LONGEST_SOCKET_PATH) {
    await listening(server, { host: "127.0.0.1", port: 0 });
    const address = server.address() as { port: number };
    return {
      server,
      endpoint: { network: "tcp", address: `127.0.0.1:${address.port}` },
      remove: () => undefined,
    };
  }
  const made = mkdtempSync(directory.slice(0, -"XXXXXX".length));
  const path = join(made, "socket");
  await listening(server, { path });
  return {
    server,
    endpoint: { network: "unix", address: path },
    remove: () => rmSync(made, { recursive: true, force: true }),
  };
}

function listening(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(where, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
