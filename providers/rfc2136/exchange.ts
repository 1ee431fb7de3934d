import { randomInt } from "node:crypto";
import { messageOf } from "../../lib/errors";
import { exchangeTcp, rcodeOf } from "../dns";
import { badSignature, LostRace, refusedUpdate, serverSilent, untrustedAnswer } from "./errors";
import type { Settings } from "./options";
import { sign, verify } from "./tsig";
import { encodeUpdate, type Update } from "./wire";

/** A prerequisite did not hold: YXDOMAIN, YXRRSET, NXRRSET. */
const LOST = [6, 7, 8];

/**
 * Sends one signed update: all of it is done, or nothing.
 * @throws LostRace when a prerequisite did not hold
 * @throws SpillwayError with code `invalid` when it is refused; without one when it is not known whether it was done
 */
export async function sendUpdate(
  settings: Pick<Settings, "server" | "key" | "requestMs">,
  subject: string,
  update: Update,
): Promise<void> {
  const { server, requestMs } = settings;
  const key = settings.key();
  const request = sign(encodeUpdate(randomInt(65_536), update), key, Math.floor(Date.now() / 1_000));
  let answer: Buffer;
  try {
    answer = await exchangeTcp(server, request.message, requestMs);
  } catch (error) {
    throw serverSilent(server, messageOf(error), error);
  }
  const rcode = rcodeOf(answer);
  const verified = verify(answer, key, request.mac, Math.floor(Date.now() / 1_000));
  if (verified.kind === "refused") throw badSignature(server, key, verified.error, verified.serverSeconds);
  if (verified.kind === "bad") throw untrustedAnswer(server, verified.why);
  if (verified.kind === "unsigned") {
    // A refusal may come from before the signature was looked at. A yes must be signed.
    if (rcode === 0 || LOST.includes(rcode)) throw untrustedAnswer(server, "it is not signed");
    throw refusedUpdate(server, update.zone, rcode, key);
  }
  if (LOST.includes(rcode)) throw new LostRace(server, subject);
  if (rcode !== 0) throw refusedUpdate(server, update.zone, rcode, key);
}
