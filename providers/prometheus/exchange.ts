import * as http from "node:http";
import * as https from "node:https";
import { AbortedError } from "../../lib/errors";
import type { RawAnswer } from "./answer";

/** More than that is no answer that numbers are made of. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

export interface ExchangeRequest {
  readonly url: URL;
  readonly form: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** PEM, of the authority that is trusted in place of the system's. */
  readonly authority?: Buffer;
}

/** Posts a form and reads the whole answer; redirections are answers too, since nobody's token follows them. @throws AbortedError, Error */
export function exchange(asked: ExchangeRequest): Promise<RawAnswer> {
  const { url, signal, timeoutMs } = asked;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new AbortedError("stopped"));
    const body = new URLSearchParams(asked.form).toString();
    const options: https.RequestOptions = {
      method: "POST",
      headers: {
        ...asked.headers,
        accept: "application/json",
        "content-type": "application/x-www-form-urlencoded",
        "content-length": Buffer.byteLength(body),
      },
      agent: false,
      ...(asked.authority ? { ca: asked.authority } : {}),
    };
    const request = url.protocol === "https:" ? https.request(url, options) : http.request(url, options);
    const end = (act: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      act();
      request.destroy();
    };
    const fail = (error: Error) => end(() => reject(error));
    const onAbort = () => fail(new AbortedError("stopped"));
    const timer = setTimeout(() => fail(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    signal?.addEventListener("abort", onAbort, { once: true });
    request.on("error", fail);
    request.on("response", (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on("error", fail);
      response.on("aborted", () => fail(new Error("the answer broke off")));
      response.on("data", (part: Buffer) => {
        bytes += part.length;
        if (bytes > MAX_ANSWER_BYTES) fail(new Error(`an answer of more than ${MAX_ANSWER_BYTES} bytes`));
        else parts.push(part);
      });
      response.on("end", () => {
        const date = Date.parse(response.headers.date ?? "");
        end(() =>
          resolve({
            status: response.statusCode ?? 0,
            text: Buffer.concat(parts).toString("utf8"),
            ...(Number.isNaN(date) ? {} : { serverAt: date }),
          }),
        );
      });
    });
    request.end(body);
  });
}
