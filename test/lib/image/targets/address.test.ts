import { parseSshAddress, shellCommand } from "../../../../lib/image/targets";

describe("an ssh:// address", () => {
  it.each([
    ["ssh://host/srv/images", { destination: "host", directory: "/srv/images" }],
    ["ssh://me@host:2222/srv/images", { destination: "me@host", port: 2222, directory: "/srv/images" }],
    ["ssh://[::1]/srv/images", { destination: "::1", directory: "/srv/images" }],
    ["ssh://host/~/images", { destination: "host", directory: "./images" }],
    ["ssh://host/a%20b", { destination: "host", directory: "/a b" }],
  ])("%s is read", (text, expected) => {
    expect(parseSshAddress(text)).toEqual(expected);
  });

  it.each([
    "ssh://host",
    "ssh://host/",
    "ssh:///srv",
    "http://host/srv",
    "ssh://me:secret@host/srv",
    "ssh://-oProxyCommand=touch%20x/srv",
    "ssh://-l@host/srv",
    "ssh://host/srv?x",
    "not an address",
  ])("%s is refused, with the form it should have", (text) => {
    expect(() => parseSshAddress(text)).toThrow(/ssh:\/\/user@host\/path/);
  });

  it("is a password's place no more than any other's error", () => {
    expect(() => parseSshAddress("ssh://me:secret@host/srv")).toThrow(/carries no password/);
  });
});

describe("the remote shell's command", () => {
  const address = { destination: "me@host", port: 2222, directory: "/it's here" };

  it("is ssh with a deadline, and the directory in quotes", () => {
    const { program, args } = shellCommand(address);
    expect(program).toBe("ssh");
    expect(args.slice(-4)).toEqual([
      "-p",
      "2222",
      "me@host",
      `spillway image serve --stdio '/it'\\''s here'`,
    ]);
    expect(args).toContain("ConnectTimeout=15");
    expect(args).not.toContain("BatchMode=yes");
  });

  it("asks nobody for a password on further connections", () => {
    expect(shellCommand(address, {}, false).args).toContain("BatchMode=yes");
  });

  it("takes a user's own options first, and words in quotes together", () => {
    const { program, args } = shellCommand(address, { rsh: `/usr/bin/ssh -i "my key" -o ConnectTimeout=3` });
    expect(program).toBe("/usr/bin/ssh");
    expect(args.slice(0, 4)).toEqual(["-i", "my key", "-o", "ConnectTimeout=3"]);
  });

  it("gives another remote shell no options of OpenSSH's", () => {
    const { program, args } = shellCommand(
      { destination: "host", directory: "/srv" },
      { rsh: "kubectl-sh -q" },
    );
    expect([program, ...args]).toEqual(["kubectl-sh", "-q", "host", "spillway image serve --stdio '/srv'"]);
  });

  it("calls what it is told to call there", () => {
    const { args } = shellCommand(address, { remoteCommand: "sudo /opt/spillway" });
    expect(args.at(-1)).toMatch(/^sudo \/opt\/spillway image serve --stdio /);
  });
});
