import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { createRequire } from "node:module";

const { decode, encode } = createRequire(import.meta.url)("dns-packet");

const TRIES = 3;
const TRY_MS = 1_000;

/** Asks the name server, over one socket for all clients. */
export async function openNameServer({ host, port }, name) {
  const socket = createSocket("udp4");
  const pending = new Map();
  socket.on("message", (message) => {
    const { id, answers } = decode(message);
    const settle = pending.get(id);
    const answer = answers?.find(({ type }) => type === "A");
    if (answer !== undefined) settle?.(answer);
  });
  socket.on("error", () => undefined);
  await new Promise((resolve) => socket.bind(0, resolve));

  const askOnce = () =>
    new Promise((resolve) => {
      let id = randomInt(0x10000);
      while (pending.has(id)) id = (id + 1) % 0x10000;
      const settle = (answer) => {
        clearTimeout(timer);
        pending.delete(id);
        resolve(answer);
      };
      const timer = setTimeout(settle, TRY_MS);
      pending.set(id, settle);
      socket.send(
        encode({ type: "query", id, flags: 0x100, questions: [{ type: "A", name, class: "IN" }] }),
        port,
        host,
      );
    });
  return {
    /** @returns {Promise<{address: string, ttlMs: number}>} */
    async ask() {
      for (let tried = 0; tried < TRIES; tried++) {
        const answer = await askOnce();
        if (answer !== undefined) return { address: answer.data, ttlMs: (answer.ttl ?? 0) * 1_000 };
      }
      throw new Error("no name");
    },
    close: () => socket.close(),
  };
}

/** What one client's resolver remembers: for the TTL, or (`keepMs`) for as long as it likes. */
export function nameCache(nameServer, keepMs) {
  let kept;
  let asking;
  return () => {
    if (kept !== undefined && performance.now() < kept.until) return Promise.resolve(kept.address);
    asking ??= nameServer
      .ask()
      .then(({ address, ttlMs }) => {
        kept = { address, until: performance.now() + (keepMs ?? ttlMs) };
        return address;
      })
      .finally(() => (asking = undefined));
    return asking;
  };
}
