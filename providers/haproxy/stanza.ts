import { createHash } from "node:crypto";
import type { BalancerPool } from "../../lib/site/ports";
import { NOW_EXPRESSION, notAfter, sinceThen } from "./clock";
import { BUCKETS, latencyRules } from "./latency";
import { SpillwayError } from "../../lib/errors";
import { checkParameters } from "./members";
import { cookieName, endpoint, poolNames, type PoolNames } from "./names";
import { DEFAULTS, type HaproxySettings } from "./settings";

/** What of a pool is in HAProxy's configuration file. Everything else about it is switched at run time. */
export type StanzaPool = Pick<BalancerPool, "name" | "listen" | "monitor" | "affinity" | "sessionIdleMs">;

/** Full shares of a quiesce order: a share of 1 is so many. */
export const FULL_SHARE = 10_000;
/** The counter of answers 5xx that members made. */
export const MEMBER_FAILURES = BUCKETS;
/** An entry of the totals is forgotten after so long, milliseconds: what is left of it tells when it was used last. */
export const TOTALS_EXPIRE_MS = 24 * 86_400_000;

/**
 * The part of haproxy.cfg that a pool needs, for HAProxy 2.6 and later: a frontend, a backend, and the tables by which users are
 * told from probes and strangers, counted and asked to leave. `servers` are lines of the backend; a pool needs none, for members
 * are added at run time. Pure.
 */
export function poolStanza(
  pool: StanzaPool,
  settings: HaproxySettings = {},
  servers: readonly string[] = [],
): string {
  return stanzaText(pool, settings, servers, stanzaNumber(pool, settings));
}

function stanzaText(
  pool: StanzaPool,
  settings: HaproxySettings,
  servers: readonly string[],
  number: number | undefined,
): string {
  const names = poolNames(pool.name);
  const http = pool.listen.mode === "http";
  return [
    section(
      `frontend ${names.frontend}`,
      http ? httpFrontend(pool, names, settings) : tcpFrontend(pool, names, settings),
    ),
    section(`backend ${names.backend}`, [
      ...(number === undefined ? [] : [`id ${number}`]),
      ...backend(pool, settings),
      ...servers,
    ]),
    ...tables(pool, names).map(([name, line]) => section(`backend ${name}`, [line])),
  ].join("\n");
}

/**
 * The number of a stanza: another one for each other text. A HAProxy that runs tells it as its backend's `iid`, so that a stanza
 * that is not the pool's present one is found.
 */
export function stanzaNumber(pool: StanzaPool, settings: HaproxySettings = {}): number {
  return (
    (createHash("sha256")
      .update(stanzaText(pool, settings, [], undefined))
      .digest()
      .readUInt32BE(0) &
      0x3fff_ffff) +
    100_000
  );
}

function section(head: string, lines: readonly string[]): string {
  return `${[head, ...lines.map((line) => `    ${line}`)].join("\n")}\n`;
}

function tables(pool: StanzaPool, names: PoolNames): [string, string][] {
  const text = "stick-table type string";
  const open = `${text} len 64 size 200k expire 5s store gpt(3),conn_cur`;
  const kept = (length: number, size: number) => `${text} len ${length} size ${size} store gpt0`;
  if (pool.listen.mode === "tcp") {
    return [
      [names.connections, open],
      [
        names.totals,
        `${text} len 12 size 10 expire ${TOTALS_EXPIRE_MS}ms store conn_cur,conn_cnt,conn_rate(2s)`,
      ],
    ];
  }
  const counters = `gpc(${MEMBER_FAILURES + 1}),gpc_rate(${MEMBER_FAILURES + 1},2s)`;
  return [
    [names.connections, open],
    [names.users, `${text} len 40 size 200k expire ${Math.max(pool.sessionIdleMs, 1)}ms store gpt(3)`],
    [
      names.totals,
      `${text} len 12 size 10 expire ${TOTALS_EXPIRE_MS}ms store conn_cur,http_req_cnt,http_req_rate(2s),${counters}`,
    ],
    [names.order, kept(16, 20)],
    [names.probes, kept(128, 20)],
    [names.hosts, kept(256, 1_000)],
  ];
}

function connectionRules(names: PoolNames): string[] {
  return [
    "tcp-request session set-var(sess.port) src_port",
    "tcp-request session set-var(sess.key) src,concat(:,sess.port)",
    `tcp-request session track-sc0 var(sess.key) table ${names.connections}`,
  ];
}

function tcpFrontend(pool: StanzaPool, names: PoolNames, settings: HaproxySettings): string[] {
  return [
    "mode tcp",
    `bind ${endpoint(pool.listen.address, pool.listen.port)}`,
    `timeout client ${settings.tunnelTimeoutMs ?? DEFAULTS.tunnelTimeoutMs}ms`,
    ...connectionRules(names),
    `tcp-request session track-sc2 str(user) table ${names.totals}`,
    `default_backend ${names.backend}`,
  ];
}

function httpFrontend(pool: StanzaPool, names: PoolNames, settings: HaproxySettings): string[] {
  const cookie = cookieName(pool.name);
  const affinity = pool.affinity === "cookie";
  return [
    "mode http",
    `bind ${endpoint(pool.listen.address, pool.listen.port)}`,
    `timeout client ${settings.serverTimeoutMs ?? DEFAULTS.serverTimeoutMs}ms`,
    "timeout http-request 30s",
    `timeout http-keep-alive ${settings.keepAliveMs ?? DEFAULTS.keepAliveMs}ms`,
    "# At a reload a kept connection is closed with its next answer, not under a request that is on its way.",
    "option idle-close-on-response",
    "option forwardfor",
    `tcp-request session set-var(sess.at) ${NOW_EXPRESSION}`,
    ...connectionRules(names),
    "# Who asks: a user, a stranger (for another host), or a gate's probe.",
    "http-request set-var(txn.began) date(0,us)",
    "http-request set-var(txn.who) str(user)",
    `http-request set-var(txn.who) str(stranger) if { str(hosts),table_gpt0(${names.order}) gt 0 } ` +
      `!{ req.hdr(host),host_only,lower,regsub(\\.$,),in_table(${names.hosts}) }`,
    `http-request set-var(txn.who) str(probe) if { req.hdr(x-spillway-probe),in_table(${names.probes}) }`,
    "http-request del-header x-spillway-probe",
    `http-request track-sc2 var(txn.who) table ${names.totals}`,
    "http-request sc-set-gpt(2,0) int(1) if { var(txn.who) -m str user }",
    ...(affinity ? affinityRequest(cookie, names) : []),
    ...leavingRules(names, affinity),
    "http-request set-header X-Forwarded-Proto http unless { req.hdr(x-forwarded-proto) -m found }",
    "http-request set-header X-Forwarded-Proto https if { ssl_fc }",
    "# Only what may be asked twice is asked twice.",
    "http-request disable-l7-retry unless { method GET HEAD OPTIONS }",
    `default_backend ${names.backend}`,
    "http-response set-var(txn.answered) bool(true)",
    "http-response set-var(txn.us) date(0,us),sub(txn.began)",
    ...latencyRules(2),
    `http-response sc-inc-gpc(${MEMBER_FAILURES},2) if { status ge 500 }`,
    "http-response del-header keep-alive",
    ...(affinity ? affinityResponse(cookie) : []),
    "# A tunnel that opens is not asked: it would not open.",
    "http-after-response set-header Connection close if { var(txn.leave) -m bool } !{ status 101 }",
  ];
}

/** The cookie names the member and the user, `MEMBER~USER`: it means the same after a reload, and one user counts once. */
function affinityRequest(cookie: string, names: PoolNames): string[] {
  const ours = `{ req.cook(${cookie}) -m reg ^[A-Za-z0-9_.-]{1,80}~[0-9a-f-]{36}$ }`;
  const isUser = "{ var(txn.who) -m str user }";
  const known = "{ var(txn.user) -m found }";
  return [
    "# The affinity cookie; members never see it.",
    `http-request set-var(txn.member) req.cook(${cookie}),field(1,~) if ${isUser} ${ours}`,
    `http-request set-var(txn.user) req.cook(${cookie}),field(2,~) if ${isUser} ${ours}`,
    `http-request set-var(txn.cookie) bool(true) if ${isUser} { req.cook(${cookie}) -m found }`,
    `http-request replace-header Cookie (.*;\\ *)?${cookie}=[^;]*(;\\ *)?(.*) \\1\\3`,
    "http-request del-header Cookie if { req.hdr(cookie) -m len 0 }",
    `http-request track-sc1 var(txn.user) table ${names.users} if ${known}`,
    `http-request set-var(txn.known) bool(true) if ${known}`,
    `http-request set-var(txn.user) uuid() if ${isUser} !${known}`,
    `http-request sc-set-gpt(0,0) var(txn.user),crc32 if ${isUser}`,
    `http-request sc-set-gpt(0,1) var(txn.user),crc32 if ${isUser}`,
    "http-request sc-set-gpt(1,1) int(0) if { var(txn.known) -m bool }",
  ];
}

/** Who is asked to leave: everybody, or those of a stable cohort who came before the order, each in his turn. */
function leavingRules(names: PoolNames, affinity: boolean): string[] {
  const set = (variable: string, value: string, ...when: string[]) =>
    `http-request set-var(txn.${variable}) ${[value, ...(when.length > 0 ? ["if"] : []), ...when].join(" ")}`;
  const at = (key: string) => `str(${key}),table_gpt0(${names.order})`;
  const isUser = "{ var(txn.who) -m str user }";
  const ordered = "{ var(txn.share) -m int gt 0 }";
  const paced = "{ var(txn.pace) -m int gt 0 }";
  return [
    "# Who is asked to leave, while an order holds.",
    set("share", at("share")),
    set("now", NOW_EXPRESSION, ordered),
    set("begin", at("begin"), ordered),
    set("until", at("until"), ordered),
    set("since", at("since"), ordered),
    set("pace", at("pace"), ordered),
    set("share", "int(0)", ordered, `!${notAfter("var(txn.begin)", "txn.now")}`),
    set("share", "int(0)", ordered, "{ var(txn.until) -m int gt 0 }", notAfter("var(txn.until)", "txn.now")),
    set("all", "bool(true)", isUser, `{ var(txn.share) -m int ge ${FULL_SHARE} }`, `!${paced}`),
    "# Those who are asked once are asked one after another, and each such order draws its own cohort.",
    set("grown", `${sinceThen("var(txn.begin)", "txn.now")},mul(txn.share),div(txn.pace)`, ordered, paced),
    set("share", "var(txn.grown)", ordered, paced, "{ var(txn.grown),sub(txn.share) lt 0 }"),
    set("key", "var(sess.key)", ordered),
    ...(affinity ? [set("key", "var(txn.user)", ordered, "{ var(txn.known) -m bool }")] : []),
    set("key", "var(txn.key),concat(~,txn.since)", ordered, paced),
    set("cohort", `var(txn.key),crc32(1),mod(${FULL_SHARE})`, ordered),
    set("leave", "bool(true)", "{ var(txn.all) -m bool }"),
    set(
      "leave",
      "bool(true)",
      isUser,
      ordered,
      "{ var(txn.share),sub(txn.cohort) gt 0 }",
      `!${notAfter("var(txn.since)", "sess.at")}`,
    ),
    ...(affinity
      ? ["http-request sc-set-gpt(1,1) int(1) if { var(txn.all) -m bool } { var(txn.known) -m bool }"]
      : []),
  ];
}

function affinityResponse(cookie: string): string[] {
  const attributes = "Path=/; HttpOnly; SameSite=Lax";
  const isUser = "{ var(txn.who) -m str user }";
  return [
    `http-response sc-set-gpt(1,0) srv_id if ${isUser}`,
    "http-response sc-set-gpt(2,1) srv_id if { var(txn.known) -m bool }",
    `http-after-response add-header Set-Cookie "${cookie}=%[srv_name]~%[var(txn.user)]; ${attributes}" if ${isUser} ` +
      "{ var(txn.answered) -m bool } !{ var(txn.all) -m bool } !{ srv_name,strcmp(txn.member) eq 0 }",
    `http-after-response add-header Set-Cookie "${cookie}=; Max-Age=0; ${attributes}" if { var(txn.all) -m bool } ` +
      "{ var(txn.cookie) -m bool }",
  ];
}

function backend(pool: StanzaPool, settings: HaproxySettings): string[] {
  const { monitor, listen } = pool;
  const http = listen.mode === "http";
  return [
    `mode ${listen.mode}`,
    `# Members are added at run time, each with: ${checkParameters(monitor, settings)}`,
    // Only with an algorithm whose weights can change may servers come and go.
    "balance leastconn",
    "timeout connect 2s",
    `timeout server ${settings.serverTimeoutMs ?? DEFAULTS.serverTimeoutMs}ms`,
    `timeout tunnel ${settings.tunnelTimeoutMs ?? DEFAULTS.tunnelTimeoutMs}ms`,
    `timeout queue ${settings.queueTimeoutMs ?? DEFAULTS.queueTimeoutMs}ms`,
    `timeout check ${monitor.timeoutMs}ms`,
    "option redispatch 1",
    "retries 3",
    ...(http ? ["retry-on conn-failure empty-response"] : []),
    ...(monitor.type === "http"
      ? [
          "option httpchk",
          `http-check send meth GET uri ${quoted(monitor.path)} ver HTTP/1.1 hdr Host ${endpoint(listen.address, listen.port)} ` +
            "hdr User-Agent spillway-monitor hdr x-spillway-probe 1 hdr Connection close",
          `http-check expect status ${monitor.expectStatus}`,
        ]
      : []),
    ...(http && pool.affinity === "cookie"
      ? ["use-server %[var(txn.member)] if { var(txn.member) -m found }"]
      : []),
  ];
}

/**
 * One word of haproxy.cfg, whatever is in it.
 * @throws SpillwayError for control characters
 */
export function quoted(word: string): string {
  // A line break would end the line within its quotes; nothing of HAProxy's can stand for it.
  if (/\p{Cc}/u.test(word)) {
    throw new SpillwayError({
      place: "haproxy.cfg",
      problem: `${JSON.stringify(word)} holds a control character`,
      mend: "Take it out of the monitor's path.",
    });
  }
  return /^[A-Za-z0-9_./:=&?@,+~-]+$/.test(word) ? word : `'${word.replace(/'/g, "'\\''")}'`;
}
