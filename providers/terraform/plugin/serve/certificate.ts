import { generateKeyPairSync, randomBytes, sign } from "node:crypto";

/** A self-signed certificate for `localhost`, and its key. Lives in memory, for the life of the process. */
export interface Certificate {
  readonly der: Buffer;
  readonly pem: string;
  readonly keyPem: string;
}

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  sequence: 0x30,
  set: 0x31,
};
const TEN_YEARS_MS = 10 * 365 * 24 * 3_600_000;
const AN_HOUR_MS = 3_600_000;

/**
 * The certificate that a plugin shows to Terraform (AutoMTLS): an EC key, and `localhost` as DNS name, which Terraform asks for.
 * Written by hand as DER, since one certificate of one shape takes 30 lines, and the libraries for it take longer to load than
 * everything else that a provider starts with.
 */
export function localhostCertificate(now: Date = new Date()): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = sequence(oid(1, 2, 840, 10045, 4, 3, 2)); // ecdsa-with-SHA256
  const name = sequence(der(TAG.set, sequence(oid(2, 5, 4, 3), der(TAG.utf8, Buffer.from("localhost")))));
  const toBeSigned = sequence(
    der(0xa0, der(TAG.integer, Buffer.of(2))), // version 3
    der(TAG.integer, Buffer.concat([Buffer.of(0x01), randomBytes(15)])), // serial number, positive
    algorithm,
    name,
    sequence(time(new Date(now.getTime() - AN_HOUR_MS)), time(new Date(now.getTime() + TEN_YEARS_MS))),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(
      0xa3,
      sequence(
        extension(oid(2, 5, 29, 19), true, sequence(der(TAG.boolean, Buffer.of(0xff)))), // basic constraints: CA
        extension(oid(2, 5, 29, 15), true, der(TAG.bits, Buffer.of(2, 0x84))), // key usage: sign data, sign certificates
        // extended key usage: server, client (Terraform's own certificate is of the same kind)
        extension(
          oid(2, 5, 29, 37),
          false,
          sequence(oid(1, 3, 6, 1, 5, 5, 7, 3, 1), oid(1, 3, 6, 1, 5, 5, 7, 3, 2)),
        ),
        extension(oid(2, 5, 29, 17), false, sequence(der(0x82, Buffer.from("localhost")))), // subject alternative name
      ),
    ),
  );
  const signature = sign("sha256", toBeSigned, { key: privateKey, dsaEncoding: "der" });
  const certificate = sequence(
    toBeSigned,
    algorithm,
    der(TAG.bits, Buffer.concat([Buffer.of(0), signature])),
  );
  return {
    der: certificate,
    pem: `-----BEGIN CERTIFICATE-----\n${lines(certificate.toString("base64"))}\n-----END CERTIFICATE-----\n`,
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
  };
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  const bytes = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...bytes), content]);
}

function sequence(...parts: Buffer[]): Buffer {
  return der(TAG.sequence, Buffer.concat(parts));
}

function oid(first: number, second: number, ...rest: number[]): Buffer {
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const groups = [part & 0x7f];
    for (let left = part >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(TAG.oid, Buffer.from(bytes));
}

function extension(id: Buffer, critical: boolean, content: Buffer): Buffer {
  const flag = critical ? [der(TAG.boolean, Buffer.of(0xff))] : [];
  return sequence(id, ...flag, der(TAG.octets, content));
}

/** RFC 5280: two-digit years up to 2049, four digits from then on. */
function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, "");
  return date.getUTCFullYear() < 2050
    ? der(0x17, Buffer.from(digits.slice(2)))
    : der(0x18, Buffer.from(digits));
}

function lines(base64: string): string {
  return base64.replace(/.{64}(?=.)/g, "$&\n");
}
