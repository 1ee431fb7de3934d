import { isIP } from "node:net";
import type { GateSpec, MonitorSpec, PoolSpec, QuiesceSpec, RecordAnswer, RecordSpec } from "../api";
import { Checker, show } from "./checker";
import { AgentError } from "./problems";

const DAY_MS = 86_400_000;
const LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
const POOL_NAME = new RegExp(`^${LABEL}$`);
const HOST_NAME = new RegExp(`^(${LABEL}\\.)*${LABEL}$`);
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const POOL_NAME_FORM = "a name of lower-case letters, digits and hyphens, such as shop-web";

/** @throws AgentError `invalid` */
export function checkPoolName(name: string): string {
  const check = new Checker();
  check.text(name, ["name"], { pattern: POOL_NAME, form: POOL_NAME_FORM, max: 63 });
  check.done("pool");
  return name;
}

/** The name of a record, lower-case and without the dot at its end. @throws AgentError `invalid` */
export function checkRecordName(name: string): string {
  const plain = name.toLowerCase().replace(/\.$/, "");
  const check = new Checker();
  check.text(plain, ["name"], { pattern: HOST_NAME, form: "a host name such as shop.example.org", max: 253 });
  check.done("record");
  return plain;
}

/** @throws AgentError `invalid` naming everything that is wrong */
export function checkPoolSpec(body: unknown, place: string): PoolSpec {
  const check = new Checker();
  const from = check.object(
    body,
    [],
    [
      ...["owner", "image", "members", "listen", "monitor", "affinity", "maxConnections", "sessionIdleMs"],
      ...["environment", "launchTimeoutMs", "drainTimeoutMs", "claim", "hosts"],
    ],
  );
  const listen = check.object(from.listen, ["listen"], ["address", "port", "mode"]);
  const spec: PoolSpec = {
    owner: owner(check, from.owner),
    image: check.text(from.image, ["image"], {
      pattern: DIGEST,
      form: "sha256: and 64 lower-case hex digits",
      max: 71,
    }),
    members: check.whole(from.members, ["members"], 1, 1000),
    listen: {
      address: address(check, listen.address, ["listen", "address"]),
      port: check.whole(listen.port, ["listen", "port"], 1, 65_535),
      mode: check.choice(listen.mode, ["listen", "mode"], ["http", "tcp"]),
    },
    monitor: monitor(check, from.monitor),
    affinity: check.choice(from.affinity, ["affinity"], ["none", "cookie"]),
    maxConnections: check.whole(from.maxConnections, ["maxConnections"], 0, 1_000_000),
    sessionIdleMs: check.whole(from.sessionIdleMs, ["sessionIdleMs"], 0, 30 * DAY_MS),
    environment: environment(check, from.environment),
    launchTimeoutMs: check.whole(from.launchTimeoutMs, ["launchTimeoutMs"], 100, DAY_MS),
    drainTimeoutMs: check.whole(from.drainTimeoutMs, ["drainTimeoutMs"], 0, 30 * DAY_MS),
    ...optional(check, from, "claim", ["claim"]),
    ...hosts(check, from.hosts),
  };
  if (check.clean && spec.hosts?.length && spec.listen.mode === "tcp") {
    check.found(
      ["hosts"],
      'must be left out where `listen.mode` is "tcp": only HTTP says which host is asked for',
    );
  }
  if (check.clean && spec.affinity === "cookie" && spec.listen.mode === "tcp") {
    check.found(["affinity"], 'must be "none" where `listen.mode` is "tcp": a cookie needs HTTP');
  }
  check.done(place);
  return spec;
}

/** @throws AgentError `invalid` */
export function checkGateSpec(body: unknown, place: string): GateSpec {
  const check = new Checker();
  const from = check.object(body, [], ["generation", "admittedAt"]);
  const spec = {
    generation: check.text(from.generation, ["generation"], { pattern: /^\S+$/, form: "a word", max: 200 }),
    admittedAt: check.whole(from.admittedAt, ["admittedAt"], 0, Number.MAX_SAFE_INTEGER),
  };
  check.done(place);
  return spec;
}

/** @throws AgentError `invalid` */
export function checkQuiesceSpec(body: unknown, place: string): QuiesceSpec {
  const check = new Checker();
  const from = check.object(body, [], ["share", "forMs", "idleCloseMs", "afterMs", "once"]);
  const spec: QuiesceSpec = {
    share: check.share(from.share, ["share"]),
    forMs: check.whole(from.forMs, ["forMs"], 0, 30 * DAY_MS),
    idleCloseMs: check.whole(from.idleCloseMs, ["idleCloseMs"], 0, DAY_MS),
    ...(from.afterMs === undefined
      ? {}
      : { afterMs: check.whole(from.afterMs, ["afterMs"], 0, 30 * DAY_MS) }),
    ...(from.once === undefined ? {} : { once: check.flag(from.once, ["once"]) }),
  };
  check.done(place);
  return spec;
}

/** @throws AgentError `invalid` */
export function checkReason(body: unknown, place: string): string {
  const check = new Checker();
  const from = check.object(body, [], ["reason"]);
  const reason = check.text(from.reason, ["reason"], { pattern: /\S/, form: "a sentence", max: 2000 });
  check.done(place);
  return reason;
}

/** @throws AgentError `invalid` naming everything that is wrong */
export function checkRecordSpec(body: unknown, place: string): RecordSpec {
  const check = new Checker();
  const from = check.object(body, [], ["owner", "ttlSeconds", "answers"]);
  const spec: RecordSpec = {
    owner: owner(check, from.owner),
    ttlSeconds: check.whole(from.ttlSeconds, ["ttlSeconds"], 1, 86_400),
    answers: check
      .list(from.answers, ["answers"], 1, 100)
      .map((answer, index) => recordAnswer(check, answer, index)),
  };
  if (check.clean) compareAnswers(check, spec.answers);
  check.done(place);
  return spec;
}

/** Who asks to remove something. @throws AgentError `invalid` when nobody says so */
export function checkOwner(query: URLSearchParams, place: string): string {
  const value = query.get("owner");
  if (value) return value;
  throw new AgentError("invalid", {
    place,
    problem: "`owner` must be given in the query, got nothing",
    mend: "Add ?owner= and who declared it: only its owner removes it.",
    attribute: ["owner"],
  });
}

function owner(check: Checker, value: unknown): string {
  return check.text(value, ["owner"], { pattern: /\S/, form: "the name of who declares it", max: 500 });
}

function address(check: Checker, value: unknown, path: readonly string[]): string {
  const text = check.text(value, path, { form: "an IP address", max: 45 });
  if (typeof value === "string" && text.length <= 45 && isIP(text) === 0) {
    check.found(path, `must be an IP address of this site, got ${show(value)}`);
  }
  return text;
}

function monitor(check: Checker, value: unknown): MonitorSpec {
  const path = ["monitor"];
  const from = check.object(value, path, [
    "type",
    "path",
    "expectStatus",
    "intervalMs",
    "timeoutMs",
    "rise",
    "fall",
  ]);
  return {
    type: check.choice(from.type, ["monitor", "type"], ["http", "tcp"]),
    path: check.text(from.path, ["monitor", "path"], {
      pattern: /^\/[\x21-\x7e]*$/,
      form: "a path that begins with a slash, without blanks",
      max: 2000,
    }),
    expectStatus: check.whole(from.expectStatus, ["monitor", "expectStatus"], 100, 599),
    intervalMs: check.whole(from.intervalMs, ["monitor", "intervalMs"], 10, DAY_MS),
    timeoutMs: check.whole(from.timeoutMs, ["monitor", "timeoutMs"], 10, DAY_MS),
    rise: check.whole(from.rise, ["monitor", "rise"], 1, 1000),
    fall: check.whole(from.fall, ["monitor", "fall"], 1, 1000),
  };
}

function hosts(check: Checker, value: unknown): Pick<PoolSpec, "hosts"> {
  if (value === undefined) return {};
  const form = "a lower-case host name such as shop.example.org, without a port";
  const each = (host: unknown, index: number) =>
    check.text(host, ["hosts", index], { pattern: HOST_NAME, form, max: 253 });
  return { hosts: check.list(value, ["hosts"], 0, 100).map(each) };
}

function environment(check: Checker, value: unknown): Record<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    check.found(["environment"], `must be an object of strings, got ${show(value)}`);
    return {};
  }
  const given: Record<string, string> = {};
  for (const [name, text] of Object.entries(value)) {
    const path = ["environment", name];
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,199}$/.test(name)) check.found(path, "is no name of a variable");
    else if (/^(HOST|PORT|SPILLWAY_.*)$/.test(name))
      check.found(path, "is set by the launcher for each member");
    given[name] = check.text(text, path, { pattern: /^[^\0]*$/, form: "a string", max: 32_768 });
  }
  return given;
}

function recordAnswer(check: Checker, value: unknown, index: number): RecordAnswer {
  const path = ["answers", index] as const;
  const from = check.object(value, path, ["site", "address", "weight", "pool"]);
  const answer = {
    site: check.text(from.site, [...path, "site"], {
      pattern: /^\S+$/,
      form: "the name of a site",
      max: 100,
    }),
    address: check.text(from.address, [...path, "address"], {
      form: "an IP address or a host name",
      max: 253,
    }),
    weight: 0,
    ...optional(check, from, "pool", [...path, "pool"]),
  };
  if (typeof from.address === "string" && !typeOf(answer.address)) {
    check.found([...path, "address"], `must be an IP address or a host name, got ${show(from.address)}`);
  }
  if (from.weight === 0) {
    check.found(
      [...path, "weight"],
      "must be 1 to 100, got 0: a site that is out of service is left out, never 0",
    );
  } else answer.weight = check.whole(from.weight, [...path, "weight"], 1, 100);
  return answer;
}

function compareAnswers(check: Checker, answers: readonly RecordAnswer[]): void {
  const sum = answers.reduce((total, { weight }) => total + weight, 0);
  if (sum !== 100) {
    const list = answers.map(({ site, weight }) => `${site} ${weight}`).join(" + ");
    check.found(["answers"], `must have weights that add up to 100, got ${list} = ${sum}`);
  }
  const types = new Set(answers.map(({ address }) => typeOf(address)));
  if (types.size > 1) {
    const list = answers.map(({ site, address }) => `${site} ${address} (${typeOf(address)})`).join(", ");
    check.found(
      ["answers"],
      `must be of one type, because resolvers invert the split of a mixed set, got ${list}`,
    );
  }
  for (const key of ["site", "address"] as const) {
    const seen = new Set<string>();
    answers.forEach((answer, index) => {
      if (seen.has(answer[key]))
        check.found(["answers", index, key], `must be given once, got ${show(answer[key])} again`);
      seen.add(answer[key]);
    });
  }
}

/** A word that is kept as it came, when it came. */
function optional<K extends string>(
  check: Checker,
  from: Readonly<Record<string, unknown>>,
  name: K,
  path: readonly (string | number)[],
): Partial<Record<K, string>> {
  const value = from[name];
  if (value === undefined || value === null) return {};
  const text = check.text(value, path, { pattern: /^\S+$/, form: "a word", max: 500 });
  return { [name]: text } as Record<K, string>;
}

function typeOf(address: string): "A" | "AAAA" | "CNAME" | undefined {
  const version = isIP(address);
  if (version === 4) return "A";
  if (version === 6) return "AAAA";
  const plain = address.toLowerCase().replace(/\.$/, "");
  // A last label of digits is a mistyped IPv4 address, never a host (RFC 3696).
  return HOST_NAME.test(plain) && !/(^|\.)\d+$/.test(plain) ? "CNAME" : undefined;
}
