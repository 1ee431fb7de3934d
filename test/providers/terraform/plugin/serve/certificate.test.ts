import { execFileSync } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { localhostCertificate } from "../../../../../providers/terraform/plugin/serve/certificate";

test("the certificate is what Terraform asks for: for localhost by DNS name, by its own authority, now and for years", () => {
  const certificate = localhostCertificate();
  const read = new X509Certificate(certificate.der);
  expect(read.subject).toBe("CN=localhost");
  expect(read.subjectAltName).toBe("DNS:localhost");
  expect(read.checkHost("localhost")).toBe("localhost");
  expect(read.ca).toBe(true);
  expect(read.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
  expect(read.verify(read.publicKey)).toBe(true);
  expect(read.checkIssued(read)).toBe(true);
  expect(read.checkPrivateKey(createPrivateKey(certificate.keyPem))).toBe(true);
  expect(new X509Certificate(certificate.pem).raw.equals(certificate.der)).toBe(true);
  expect(new Date(read.validFrom).getTime()).toBeLessThan(Date.now());
  expect(new Date(read.validTo).getTime()).toBeGreaterThan(Date.now() + 9 * 365 * 24 * 3_600_000);
});

test("two certificates differ in key and serial number, which is never negative", () => {
  const [one, other] = [localhostCertificate(), localhostCertificate()].map(
    ({ der }) => new X509Certificate(der),
  );
  expect(one!.serialNumber).not.toBe(other!.serialNumber);
  expect(one!.publicKey.equals(other!.publicKey)).toBe(false);
  expect(one!.serialNumber).toMatch(/^01/);
});

test("a certificate made near the middle of the century is valid too", () => {
  const read = new X509Certificate(localhostCertificate(new Date("2045-06-01T00:00:00Z")).der);
  expect(read.validTo).toBe("May 30 00:00:00 2055 GMT");
});

test("another implementation reads it", () => {
  const text = execFileSync("openssl", ["x509", "-noout", "-text"], {
    input: localhostCertificate().pem,
    encoding: "utf8",
  });
  expect(text).toContain("ecdsa-with-SHA256");
  expect(text).toContain("DNS:localhost");
  expect(text).toContain("Digital Signature, Certificate Sign");
});
