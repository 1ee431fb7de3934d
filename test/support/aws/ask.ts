import { ACCESS_KEY_ID, REGION } from "./moto";

/**
 * Asks the emulator something, in the service's own words and past every client: what a test looks at must not come by the way that is
 * tested. A body in pieces is sent as a form; without one it is a GET.
 */
export async function request(
  endpoint: string,
  service: string,
  body?: string | Readonly<Record<string, string>>,
  path = "/",
  region = REGION,
): Promise<string> {
  const isForm = body !== undefined && typeof body !== "string";
  const answer = await fetch(new URL(path, endpoint), {
    method: body === undefined ? "GET" : "POST",
    body: isForm ? new URLSearchParams(body).toString() : body,
    headers: {
      ...(isForm ? { "content-type": "application/x-www-form-urlencoded; charset=utf-8" } : {}),
      authorization: `AWS4-HMAC-SHA256 Credential=${ACCESS_KEY_ID}/20260101/${region}/${service}/aws4_request, SignedHeaders=host, Signature=0`,
    },
  });
  const text = await answer.text();
  if (!answer.ok)
    throw new Error(`${service} ${path} ${JSON.stringify(body)} answered ${answer.status}: ${text}`);
  return text;
}
