import type { ApiCall } from "./api-call";

/** An answer as a service would give it. */
export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** An error in the words of the call's own protocol. */
export function errorAnswer(call: ApiCall, status: number, code: string, message: string): ErrorAnswer {
  const xml = (text: string): ErrorAnswer => ({
    status,
    headers: { "content-type": "text/xml" },
    body: Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${text}`),
  });
  const inner = `<Code>${code}</Code><Message>${message}</Message>`;
  switch (call.protocol) {
    case "ec2":
      return xml(`<Response><Errors><Error>${inner}</Error></Errors><RequestID>fault</RequestID></Response>`);
    case "query":
    case "rest-xml": {
      const type = `<Type>${status < 500 ? "Sender" : "Receiver"}</Type>`;
      return xml(`<ErrorResponse><Error>${type}${inner}</Error><RequestId>fault</RequestId></ErrorResponse>`);
    }
    case "s3":
      return xml(`<Error>${inner}</Error>`);
    case "rest-json":
    case "json":
      return {
        status,
        headers: { "content-type": "application/x-amz-json-1.0", "x-amzn-errortype": code },
        body: Buffer.from(JSON.stringify({ __type: code, message, Message: message })),
      };
    case "cbor":
      return {
        status,
        headers: { "content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor" },
        body: Buffer.concat([Buffer.from([0xa2]), ...["__type", code, "message", message].map(cborText)]),
      };
  }
}

function cborText(text: string): Buffer {
  const bytes = Buffer.from(text);
  const head = bytes.length < 24 ? [0x60 + bytes.length] : [0x79, bytes.length >> 8, bytes.length & 0xff];
  return Buffer.concat([Buffer.from(head), bytes]);
}
