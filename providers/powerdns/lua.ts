import type { RecordAnswer, RecordSpec } from "../../lib/site/api";
import { answerType } from "../local/nameserver/zone";
import type { HealthCheck } from "./options";

const STRING_BYTES = 255;

/** What makes an answer to a query. */
export interface Selection {
  readonly health: HealthCheck | undefined;
  readonly select: "random" | "client";
}

/** The label before a record's name where PowerDNS says which addresses it sees up. */
export const HEALTH_LABEL = "_spillway-health";

/** `_spillway-health.shop.example.test` for `shop.example.test`. */
export function healthName(name: string): string {
  return `${HEALTH_LABEL}.${name}`;
}

/** Content of the LUA record that answers for the name. Equal specs and selections give equal content. */
export function answerContent(spec: RecordSpec, selection: Selection): string {
  const type = answerType(spec.answers[0]);
  const members = spec.answers
    .map((answer, at) => `{${wholeWeights(spec.answers)[at]},'${target(answer)}'}`)
    .join(", ");
  // An alias has no address that could be hashed beside the client's, or be asked.
  const pick = selection.select === "client" && type !== "CNAME" ? "pickwhashed" : "pickwrandom";
  if (selection.health === undefined || type === "CNAME") return lua(type, `return ${pick}({${members}})`);
  const { setup, isUp } = checkOf(selection.health);
  return lua(
    type,
    `${setup}local all={${members}} local up={} ` +
      `for _,m in ipairs(all) do if ${isUp("m[2]")} then up[#up+1]=m end end ` +
      // Nobody is up: rather its own checks are wrong than every site at once.
      `if #up==0 then up=all end return ${pick}(up)`,
  );
}

/** Content of the LUA record that tells which addresses are up, one text each; undefined when none can be checked. */
export function healthContent(
  addresses: readonly string[],
  health: HealthCheck | undefined,
): string | undefined {
  if (health === undefined || addresses.length === 0) return undefined;
  const { setup, isUp } = checkOf(health);
  const list = addresses.map((address) => `'${address}'`).join(", ");
  return lua(
    "TXT",
    `${setup}local t={} for _,a in ipairs({${list}}) do t[#t+1]=a..(${isUp("a")} and ' up' or ' down') end return t`,
  );
}

/** Addresses that PowerDNS can check. */
export function checkedAddresses(spec: RecordSpec): readonly string[] {
  return answerType(spec.answers[0]) === "CNAME" ? [] : spec.answers.map(({ address }) => address);
}

/**
 * The state of a check is kept under its address, URL and *all* its options, so the answer and the health record must spell it
 * alike. PowerDNS 4.7 returns every address when none is up; of an address given twice it returns one when it is up and two when it is
 * not.
 */
function checkOf(health: HealthCheck): {
  readonly setup: string;
  readonly isUp: (address: string) => string;
} {
  const options = [
    "selector='random'",
    "backupSelector='all'",
    `timeout='${health.timeoutSeconds ?? 2}'`,
    ...(health.type === "tcp" ? [] : ["useragent='spillway-health'"]),
    ...(health.match === undefined || health.type === "tcp" ? [] : [`stringmatch='${health.match}'`]),
  ];
  const url = `${health.type}://${health.host ?? "health.spillway.invalid"}:${health.port}${health.path ?? "/"}`;
  const call = health.type === "tcp" ? `ifportup(${health.port}` : `ifurlup('${url}'`;
  return {
    setup: `local o={${options.join(",")}} `,
    isUp: (address) => `#${call},{${address},${address}},o)==1`,
  };
}

function target(answer: RecordAnswer): string {
  return answerType(answer) === "CNAME" ? `${answer.address.replace(/\.$/, "")}.` : answer.address;
}

/** Weights as PowerDNS takes them: whole numbers. */
function wholeWeights(answers: readonly RecordAnswer[]): readonly number[] {
  const scale = answers.every(({ weight }) => Number.isInteger(weight)) ? 1 : 1_000;
  return answers.map(({ weight }) => Math.max(1, Math.round(weight * scale)));
}

/**
 * A text of more than 255 bytes is several strings, and PowerDNS puts a space between them: they may only be parted where there is
 * one.
 */
function lua(type: string, code: string): string {
  const strings: string[] = [];
  for (const word of `;${code}`.split(" ")) {
    const last = strings.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= STRING_BYTES)
      strings[strings.length - 1] = `${last} ${word}`;
    else strings.push(word);
  }
  return `${type} ${strings.map((text) => `"${text}"`).join(" ")}`;
}
