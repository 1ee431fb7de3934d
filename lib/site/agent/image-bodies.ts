import { MAX_IMAGE_BYTES } from "../../image/limits";
import type { SnapshotRequest, TransferEstimate, TransferRequest } from "../api";
import { Checker, show } from "./checker";

const TRANSFER_ID = /^[0-9a-f]{64}$/;
const SEGMENT_ID = /^[0-9a-f]{32}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const DIGEST_FORM = "sha256: and 64 lower-case hex digits";

const SNAPSHOT_ID = /^snap-[0-9a-z]{1,40}$/;
const SNAPSHOT_ID_FORM = "snap- and lower-case letters and digits";
const SOME_TEXT = /./;
const MAX_TAGS = 40;

const MAX_ETA_MS = Number.MAX_SAFE_INTEGER;
const MAX_BPS = 1e15;

/** @throws AgentError `invalid` */
export function checkDigest(digest: unknown): string {
  const check = new Checker();
  const text = digestOf(check, digest);
  check.done("image");
  return text;
}

/** @throws AgentError `invalid` */
export function checkTransferId(id: string): string {
  const check = new Checker();
  check.text(id, ["id"], { pattern: TRANSFER_ID, form: "64 lower-case hex digits", max: 64 });
  check.done("transfer");
  return id;
}

/** @throws AgentError `invalid` */
export function checkSegmentId(id: string): string {
  const check = new Checker();
  check.text(id, ["segmentId"], { pattern: SEGMENT_ID, form: "32 lower-case hex digits", max: 32 });
  check.done("segment");
  return id;
}

/** @throws AgentError `invalid` naming everything that is wrong */
export function checkTransferRequest(body: unknown, place: string): TransferRequest {
  const check = new Checker();
  const from = check.object(body, [], ["sizeBytes", "digest", "peek"]);
  const sizeBytes = check.whole(from.sizeBytes, ["sizeBytes"], 1, MAX_IMAGE_BYTES);
  const digest = from.digest === undefined ? undefined : digestOf(check, from.digest);
  const { peek } = from;
  if (peek !== undefined && typeof peek !== "boolean")
    check.found(["peek"], `must be true or false, got ${show(peek)}`);
  check.done(place);
  return {
    sizeBytes,
    ...(digest === undefined ? {} : { digest }),
    ...(typeof peek === "boolean" ? { peek } : {}),
  };
}

/** @throws AgentError `invalid` */
export function checkSnapshotId(id: string): string {
  const check = new Checker();
  check.text(id, ["snapshotId"], { pattern: SNAPSHOT_ID, form: SNAPSHOT_ID_FORM, max: 45 });
  check.done("snapshot");
  return id;
}

/** @throws AgentError `invalid` naming everything that is wrong */
export function checkSnapshotRequest(body: unknown, place: string): SnapshotRequest {
  const check = new Checker();
  const known = ["parentId", "encrypted", "kmsKeyId", "description", "tags", "lineage"];
  const from = check.object(body, [], known);
  const given: { -readonly [N in keyof SnapshotRequest]: SnapshotRequest[N] } = {};
  if (from.parentId !== undefined) {
    const rule = { pattern: SNAPSHOT_ID, form: SNAPSHOT_ID_FORM, max: 45 };
    given.parentId = check.text(from.parentId, ["parentId"], rule);
  }
  for (const [name, max] of [
    ["kmsKeyId", 2048],
    ["description", 255],
    ["lineage", 256],
  ] as const) {
    if (from[name] === undefined) continue;
    given[name] = check.text(from[name], [name], { pattern: SOME_TEXT, form: "a text", max });
  }
  if (from.encrypted !== undefined) given.encrypted = check.flag(from.encrypted, ["encrypted"]);
  if (from.tags !== undefined) {
    const { tags } = from;
    const isObject = typeof tags === "object" && tags !== null && !Array.isArray(tags);
    if (!isObject) check.found(["tags"], `must be an object, got ${show(tags)}`);
    const entries = isObject ? Object.entries(tags) : [];
    if (entries.length > MAX_TAGS)
      check.found(["tags"], `must be at most ${MAX_TAGS}, got ${entries.length}`);
    for (const [key, value] of entries) check.text(value, ["tags", key], { form: "a text", max: 256 });
    given.tags = Object.fromEntries(entries.map(([key, value]) => [key, String(value)]));
  }
  check.done(place);
  return given;
}

/** Which image a transfer is to be completed as. @throws AgentError `invalid` */
export function checkCompletion(body: unknown, place: string): string {
  const check = new Checker();
  const from = check.object(body, [], ["digest"]);
  const digest = digestOf(check, from.digest);
  check.done(place);
  return digest;
}

/** @throws AgentError `invalid` naming everything that is wrong */
export function checkEstimate(body: unknown, place: string): TransferEstimate {
  const check = new Checker();
  const bytes = ["totalBytes", "inUseBytes", "presentBytes", "sendBytes"] as const;
  const from = check.object(body, [], [...bytes, "etaMs", "rateBps", "rateIs"]);
  const [totalBytes, inUseBytes, presentBytes, sendBytes] = bytes.map((name) =>
    check.whole(from[name], [name], 0, MAX_IMAGE_BYTES),
  );
  const estimate: TransferEstimate = {
    ...{ totalBytes, inUseBytes, presentBytes, sendBytes },
    etaMs: check.number(from.etaMs, ["etaMs"], 0, MAX_ETA_MS),
    rateBps: check.number(from.rateBps, ["rateBps"], 0, MAX_BPS),
    rateIs: check.choice(from.rateIs, ["rateIs"], ["measured", "assumed"]),
  };
  check.done(place);
  return estimate;
}

function digestOf(check: Checker, value: unknown): string {
  return check.text(value, ["digest"], { pattern: DIGEST, form: DIGEST_FORM, max: 71 });
}
