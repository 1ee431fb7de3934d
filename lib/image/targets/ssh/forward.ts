import { execFile } from "node:child_process";
import { createConnection, type Socket } from "node:net";
import { promisify } from "node:util";
import { AbortedError } from "../../../errors";
import { sleep } from "../../../wait";
import { TargetError } from "../errors";
import { writeFrame } from "../stdio/frames";
import { Line } from "../stdio/line";
import type { Join, StreamsOffer } from "../stdio/protocol";
import { isSocketPath, makeSocketDirectory } from "../stdio/socket-directory";
import type { SshAddress } from "./address";
import { configurationCommand, forwardCommand, type RemoteShell } from "./command";
import { startRemote, type RemoteProcess } from "./process";

const LOOK_MS = 20;
const CONFIGURATION_MS = 10_000;
/** ssh connects, but no stream comes through: it is forbidden there, or another user's process listens. */
export class NoForwarding extends Error {
  override readonly name = "NoForwarding";
}

/**
 * May a stream be forwarded? Not by another remote shell than OpenSSH's; nor where the user's configuration forwards for his own
 * logins: only with all of those could ssh be given this one.
 */
export async function canForward(address: SshAddress, shell: RemoteShell): Promise<boolean> {
  const command = configurationCommand(address, shell);
  if (!command) return false;
  const { program, args } = command;
  try {
    const { stdout } = await promisify(execFile)(program, args, { timeout: CONFIGURATION_MS });
    return !/^(?:local|remote|dynamic)forward /m.test(stdout);
  } catch {
    return false;
  }
}

/**
 * Opens a line over an ssh connection of its own that ends at a socket of the far side's, which starts nothing there that lasts.
 * @throws NoForwarding
 * @throws TargetError when there is no connection, or the far side says no
 * @throws AbortedError
 */
export async function openForwarded(
  address: SshAddress,
  shell: RemoteShell,
  { socket: there, session }: StreamsOffer,
  deadlineMs: number,
  signal?: AbortSignal,
): Promise<Line> {
  const made = isSocketPath(there) ? await makeSocketDirectory("spillway-stream-", "stream") : undefined;
  if (!made) throw new NoForwarding("no socket can be forwarded");
  const { path: here, remove } = made;
  try {
    const remote = startRemote(forwardCommand(address, shell, { here, there }), address, shell);
    // Nothing is expected from it, and what comes must not stop it.
    remote.output.resume();
    try {
      const socket = await connected(here, remote, deadlineMs, signal);
      return await greeted(socket, remote, session, deadlineMs, signal);
    } catch (error) {
      remote.kill();
      throw error;
    }
  } finally {
    // It has served its purpose: nobody else can come in.
    remove();
  }
}

/** ssh makes the socket as soon as it is logged in. */
async function connected(
  path: string,
  remote: RemoteProcess,
  deadlineMs: number,
  signal: AbortSignal | undefined,
): Promise<Socket> {
  const deadline = Date.now() + deadlineMs;
  let hasEnded = false;
  void remote.ended.then(() => (hasEnded = true));
  while (!hasEnded) {
    const socket = await connect(path);
    if (socket) return socket;
    if (Date.now() > deadline) {
      throw new TargetError("slow", {
        place: remote.place,
        problem: `there was no further connection within ${Math.round(deadlineMs / 1000)} s`,
        mend: "Look at the link and at the machine there, then try again: what has arrived is kept.",
      });
    }
    await sleep(LOOK_MS, signal);
  }
  const why = (await remote.whyEnded()) ?? brokenOff(remote.place);
  if (remote.wasKilled()) throw why;
  if (remote.exitCode() !== 255 || remote.said.some((line) => /local forwarding/i.test(line)))
    throw new NoForwarding(remote.said.join("; "), { cause: why });
  throw why;
}

function brokenOff(place: string): TargetError {
  return new TargetError("unreachable", {
    place,
    problem: "a further connection ended before anything was sent",
    mend: "Try again: what has arrived is kept.",
  });
}

function connect(path: string): Promise<Socket | undefined> {
  return new Promise((settled) => {
    const socket = createConnection(path);
    const onError = () => settled(undefined);
    socket.once("error", onError);
    socket.once("connect", () => {
      socket.off("error", onError);
      // A line that breaks is found by who reads from it.
      socket.on("error", () => undefined);
      settled(socket);
    });
  });
}

async function greeted(
  socket: Socket,
  remote: RemoteProcess,
  session: string,
  deadlineMs: number,
  signal: AbortSignal | undefined,
): Promise<Line> {
  const join: Join = { join: session };
  let isHeard = false;
  socket.once("readable", () => (isHeard = socket.readableLength > 0));
  const carrier = {
    ...{ place: remote.place, input: socket, output: socket },
    whyEnded: async () => {
      remote.input.end();
      const why = await remote.whyEnded();
      return remote.exitCode() === 255 ? why : undefined;
    },
    kill: () => {
      socket.destroy();
      remote.kill();
    },
  };
  try {
    await writeFrame(socket, join, undefined, { signal });
    const line = await Line.open(carrier, deadlineMs, signal);
    // From now on it lives as long as the stream, also when we are killed.
    remote.input.end();
    return line;
  } catch (error) {
    socket.destroy();
    const isOver = error instanceof AbortedError || remote.exitCode() === 255 || remote.wasKilled();
    const isSilent = !isHeard && !(error instanceof TargetError && error.code === "slow");
    if (isSilent && !isOver) throw new NoForwarding(remote.said.join("; "), { cause: error });
    throw error;
  }
}
