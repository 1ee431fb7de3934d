import { execFileSync } from "node:child_process";

/** A key and a certificate for one address, signed by itself: who is given the certificate trusts nobody else. */
export function makeCertificate(name: string, address: string, keyFile: string, certFile: string): void {
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-days", "30", "-subj", `/CN=${name}`, "-addext", `subjectAltName=IP:${address}`],
      ...["-keyout", keyFile, "-out", certFile],
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
}
