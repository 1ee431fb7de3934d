import { chmod, mkdir, rm } from "node:fs/promises";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { resolve } from "node:path";
import { sleep } from "../../../wait";
import { version } from "../../../version";
import { requireStore } from "../existing-store";
import { DirectoryInUse, StoreLock } from "../store-lock";
import { TargetError } from "../errors";
import { PROTOCOL, type Hello, type VerifiableTarget } from "./protocol";
import { refuse, serveConnection, serveJoining, type ServedLine } from "./serve-connection";
import { StreamSocket } from "./stream-socket";

/** In the directory; relative, as the name of a socket may only be some 100 bytes long. */
const SOCKET = "serve.sock";
/** Another process holds the directory, but does not answer: it starts, or ends. */
const TURN_MS = 30_000;
const LOOK_MS = 50;

/** A store that one process at a time may have open. */
export interface ServedStore extends VerifiableTarget {
  close(): Promise<void>;
}

export interface ServeOptions extends ServedLine {
  readonly directory: string;
  /** What is not a directory of images yet is refused instead of made one. @default false */
  readonly mustExist?: boolean;
  /** Called in the directory's only process. */
  readonly open: (directory: string) => Promise<ServedStore>;
}

/**
 * Serves a directory's images to whoever is at the other end of these pipes, until he hangs up. Any number of processes may do so at
 * once: the first holds the store and answers for the others, and ends after the last of them. Further streams of one near side need no
 * process of their own: ssh brings them to a socket. One that is killed keeps nobody from going on. Works in the directory from then on (`process.chdir`).
 * @returns false when it could not; why was said to the other end
 */
export async function serveDirectory(options: ServeOptions): Promise<boolean> {
  const { input, output } = options;
  const directory = resolve(options.directory);
  try {
    if (options.mustExist) await requireStore(directory);
    else await mkdir(directory, { recursive: true, mode: 0o700 });
    process.chdir(directory);
    const found = await holderOrLock(directory);
    if (found instanceof StoreLock) await hold(found, { ...options, directory });
    else await join(found, { input, output });
    return true;
  } catch (error) {
    await refuse(output, error);
    return false;
  }
}

/** Who holds the store already, on the line; or the right to hold it. */
async function holderOrLock(directory: string): Promise<Socket | StoreLock> {
  const deadline = Date.now() + TURN_MS;
  for (;;) {
    const holder = await connect();
    if (holder) return holder;
    try {
      return await StoreLock.take(directory);
    } catch (error) {
      if (!(error instanceof DirectoryInUse) || Date.now() > deadline) throw error;
    }
    await sleep(LOOK_MS);
  }
}

/** A line on which the holder has begun to speak: one that is about to end takes no more. */
function connect(): Promise<Socket | undefined> {
  return new Promise((settled) => {
    const socket = createConnection(SOCKET);
    // One that was stopped takes connections and never speaks.
    const late = setTimeout(() => socket.destroy(), TURN_MS);
    const onError = () => {
      clearTimeout(late);
      settled(undefined);
    };
    socket.once("error", onError);
    socket.once("close", onError);
    socket.once("readable", () => {
      // Readable also means that it was closed.
      if (socket.readableLength === 0) return;
      clearTimeout(late);
      socket.off("error", onError);
      socket.off("close", onError);
      settled(socket);
    });
  });
}

function join(holder: Socket, { input, output }: ServedLine): Promise<void> {
  const gone = new Promise<void>((ended) => holder.once("close", () => ended()));
  holder.on("error", () => undefined);
  output.on("error", () => holder.destroy());
  input.on("error", () => holder.destroy());
  input.pipe(holder);
  holder.pipe(output);
  return gone;
}

async function hold(lock: StoreLock, options: ServeOptions): Promise<void> {
  try {
    const store = await options.open(options.directory);
    try {
      await answerAll(store, options);
    } finally {
      await store.close();
    }
  } finally {
    await lock.release();
  }
}

async function answerAll(store: ServedStore, { directory, input, output }: ServeOptions): Promise<void> {
  const hello: Hello = { spillway: version, protocol: PROTOCOL, directory };
  let lines = 1;
  let ended: () => void = () => undefined;
  const all = new Promise<void>((resolve) => (ended = resolve));
  const hungUp = () => {
    if (--lines === 0) ended();
  };
  const count = (socket: Socket, serving: Promise<void>) => {
    lines++;
    void serving.finally(() => socket.destroy()).then(hungUp);
  };
  const streams = await StreamSocket.open((socket) => {
    const isAdmitted = (session: unknown) => streams?.knows(session) === true;
    count(socket, serveJoining({ input: socket, output: socket }, store, hello, isAdmitted));
  });
  const serve = async (line: ServedLine) => {
    const pass = streams?.admit();
    await serveConnection(line, store, { ...hello, streams: pass?.offer });
    pass?.revoke();
  };
  const server = createServer((socket) => count(socket, serve({ input: socket, output: socket })));
  try {
    await listen(server);
    void serve({ input, output }).then(hungUp);
    await all;
  } finally {
    server.close();
    streams?.close();
  }
}

/** What a killed holder left is in nobody's use: the lock says so. */
async function listen(server: Server): Promise<void> {
  await rm(SOCKET, { force: true });
  const before = process.umask(0o077);
  try {
    await new Promise<void>((listening, failed) => {
      server.once("error", failed);
      server.listen(SOCKET, listening);
    });
    await chmod(SOCKET, 0o600);
  } catch (error) {
    throw new TargetError(
      "internal",
      {
        place: `${process.cwd()}/${SOCKET}`,
        problem: `the socket cannot be made: ${String(error)}`,
        mend: "Give a directory on a file system of this machine, which may hold sockets.",
      },
      { cause: error },
    );
  } finally {
    process.umask(before);
  }
}
