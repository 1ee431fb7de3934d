import { writeSync } from "node:fs";
import { ServerCredentials } from "@grpc/grpc-js";
import type { Provider } from "../define";
import { serveConnection, type Connection } from "../runtime/server";
import type { Shared } from "../runtime/session";
import { localhostCertificate } from "./certificate";
import { listen } from "./listener";
import { terraformLog } from "./log";

/** A word that both sides know: it tells that Terraform, and not a person, has started the process. No secret. */
const COOKIE = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";
const CORE_PROTOCOL = 1;
const PLUGIN_PROTOCOL = 6;
/** Terraform ends a plugin by force 2 s after it asked it to end. */
const SHUTDOWN_GRACE_MS = 1_500;
/** How long operations may take to wind up when Terraform itself was killed. */
const ORPHAN_GRACE_MS = 10_000;
const PARENT_CHECK_MS = 1_000;

/**
 * Serves a provider as the plugin process that Terraform has started: the whole of a provider's main file. Resolves when it is
 * ready. Exits with 1 and a hint if a person has started it.
 */
export async function serve(provider: Provider): Promise<void> {
  const refusal = refusalOf(provider);
  if (refusal) {
    writeSync(process.env.TF_PLUGIN_MAGIC_COOKIE === COOKIE ? 1 : 2, `${refusal}\n`);
    process.exit(1);
  }
  crashReadably();
  // Ctrl-C reaches the whole process group; Terraform then says what to do (StopProvider).
  process.on("SIGINT", () => undefined);

  const clientCertificate = process.env.PLUGIN_CLIENT_CERT;
  const certificate = clientCertificate ? localhostCertificate() : undefined;
  const credentials =
    clientCertificate && certificate
      ? ServerCredentials.createSsl(
          Buffer.from(clientCertificate),
          [{ private_key: Buffer.from(certificate.keyPem), cert_chain: Buffer.from(certificate.pem) }],
          true,
        )
      : ServerCredentials.createInsecure();

  const shared: Shared = { provider, log: terraformLog(provider.name), last: undefined };
  const connections = new Set<Connection>();
  const end = (code: number, why: string, graceMs: number) => void windUp(connections, code, why, graceMs);
  const listener = await listen((socket) => {
    const connection = serveConnection(socket, shared, credentials, () =>
      end(0, "Terraform has ended", SHUTDOWN_GRACE_MS),
    );
    connections.add(connection);
    socket.once("close", () => connections.delete(connection));
  });
  process.on("exit", () => listener.remove());
  exitWithParent(() => end(1, "Terraform is gone", ORPHAN_GRACE_MS));
  // A closed terminal, a system that shuts down: operations wind up, and the socket goes.
  for (const signal of ["SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => end(1, `the provider got ${signal}`, ORPHAN_GRACE_MS));
  }

  const { network, address } = listener.endpoint;
  const shown = certificate ? certificate.der.toString("base64").replace(/=+$/, "") : "";
  writeSync(1, `${CORE_PROTOCOL}|${PLUGIN_PROTOCOL}|${network}|${address}|grpc|${shown}\n`);
}

function refusalOf(provider: Provider): string | undefined {
  if (process.env.TF_PLUGIN_MAGIC_COOKIE !== COOKIE) {
    return (
      `This is the Terraform provider ${provider.name} ${provider.version}. Terraform starts it by itself: name it in ` +
      `required_providers and run terraform init.`
    );
  }
  const offered = (process.env.PLUGIN_PROTOCOL_VERSIONS ?? "").split(",");
  if (!offered.includes(String(PLUGIN_PROTOCOL))) {
    return (
      `the provider ${provider.name} speaks plugin protocol ${PLUGIN_PROTOCOL}, and this Terraform offers only ` +
      `${offered.join(", ") || "older ones"}. Use Terraform 1.8 or later.`
    );
  }
  return undefined;
}

/** Terraform shows what a plugin writes from a line `panic:` on. Node's own message would bury the error in source text. */
function crashReadably(): void {
  const crash = (thrown: unknown) => {
    const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    try {
      writeSync(2, `panic: ${stack.split("\n")[0]}\n\n${stack}\n`);
    } finally {
      process.exit(2);
    }
  };
  process.on("uncaughtException", crash);
  process.on("unhandledRejection", crash);
}

/** A Terraform that was killed cannot say so, and a plugin without it is of no use to anybody. */
function exitWithParent(onOrphaned: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onOrphaned();
  }, PARENT_CHECK_MS);
  timer.unref();
}

async function windUp(
  connections: ReadonlySet<Connection>,
  code: number,
  why: string,
  graceMs: number,
): Promise<void> {
  for (const { session } of connections) session.stop(why);
  const until = Date.now() + graceMs;
  // At least one turn, so that the answer to Shutdown gets out.
  do await new Promise((resolve) => setTimeout(resolve, 5));
  while (Date.now() < until && [...connections].some(({ session }) => session.busy));
  process.exit(code);
}
