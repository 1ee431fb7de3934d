import type { ProblemReport } from "../../lib/errors";

/** What was found: what keeps Spillway from working, and what may cost users at a bad moment. */
export interface Findings {
  readonly problems: readonly ProblemReport[];
  readonly advice: readonly ProblemReport[];
}

interface Section {
  readonly kind: string;
  readonly name: string;
  readonly lines: readonly { readonly number: number; readonly words: readonly string[] }[];
}

const KINDS = new Set([
  "global",
  "defaults",
  "frontend",
  "backend",
  "listen",
  "peers",
  "resolvers",
  "userlist",
]);
/** Only with these may servers come and go while HAProxy runs (management guide, `add server`). */
const DYNAMIC = new Set(["roundrobin", "leastconn", "first", "random"]);

/**
 * Checks the text of a haproxy.cfg for what Spillway needs of it. Pure. It knows the file only: what the running HAProxy has, and
 * what other files add, is for {@link diagnoseHaproxy}.
 * @param file its path, for the reports
 */
export function checkConfigurationText(text: string, file: string): Findings {
  const problems: ProblemReport[] = [];
  const advice: ProblemReport[] = [];
  const sections = parseSections(text);
  const place = (line?: number) => (line === undefined ? file : `${file}:${line}`);
  const inGlobal = sections.filter(({ kind }) => kind === "global").flatMap(({ lines }) => lines);
  const sockets = inGlobal.filter(({ words }) => words[0] === "stats" && words[1] === "socket");
  if (sockets.length === 0) {
    problems.push({
      place: place(),
      problem: "its global section has no `stats socket`, so nobody can add members",
      mend: "Add `stats socket /run/haproxy/admin.sock mode 660 level admin`, then reload HAProxy.",
    });
  } else if (!sockets.some(({ words }) => words.join(" ").includes("level admin"))) {
    const level = sockets[0].words[sockets[0].words.indexOf("level") + 1];
    problems.push({
      place: place(sockets[0].number),
      problem: `its \`stats socket\` has level \`${sockets[0].words.includes("level") ? level : "operator"}\`, and members are added with level \`admin\` only`,
      mend: "Say `level admin` on that line, then reload HAProxy.",
    });
  }
  const stop = inGlobal.find(({ words }) => words[0] === "hard-stop-after");
  if (stop) {
    advice.push({
      place: place(stop.number),
      problem: `after a reload, users of the old worker are cut off after \`${stop.words[1]}\``,
      mend: "Make `hard-stop-after` longer than the pools' drain timeout.",
    });
  }
  for (const section of sections) {
    if (section.kind !== "backend" || !/^spillway\.[^.]+\.members$/.test(section.name)) continue;
    const find = (...words: string[]) =>
      section.lines.find((line) => words.every((word, index) => line.words[index] === word));
    const balance = find("balance");
    if (balance && !DYNAMIC.has(balance.words[1]?.replace(/\(.*/, "") ?? "")) {
      problems.push({
        place: place(balance.number),
        problem: `with \`balance ${balance.words[1]}\` no member can be added while HAProxy runs`,
        mend: "Say `balance leastconn`, as in the stanza.",
      });
    }
    if (!find("option", "redispatch")) {
      problems.push({
        place: place(),
        problem: `backend ${section.name} lacks \`option redispatch\`: users bound to a dead member get errors`,
        mend: "Put it back in, as in the stanza.",
      });
    }
    const enabled = section.lines.find(({ words }) => words[0] === "server" && words.includes("enabled"));
    if (enabled) {
      problems.push({
        place: place(enabled.number),
        problem:
          "a server with the keyword `enabled` takes another one's traffic away once it was in maintenance (HAProxy 2.6)",
        mend: "Remove the keyword.",
      });
    }
  }
  const state = sections
    .flatMap(({ lines }) => lines)
    .find(({ words }) => words[0] === "load-server-state-from-file" && words[1] !== "none");
  if (state) {
    advice.push({
      place: place(state.number),
      problem:
        "an old server state file gives members the weights and states of another time, until the next look",
      mend: "Say `load-server-state-from-file none` in the pools' backends, or write the file anew before each reload.",
    });
  }
  return { problems, advice };
}

/** Words of lines, by section. Comments go, quotes and escapes are taken off. */
function parseSections(text: string): Section[] {
  const sections: { kind: string; name: string; lines: Section["lines"][number][] }[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const words = wordsOf(line);
    if (words.length === 0) continue;
    if (KINDS.has(words[0])) sections.push({ kind: words[0], name: words[1] ?? "", lines: [] });
    else sections.at(-1)?.lines.push({ number: index + 1, words });
  }
  return sections;
}

function wordsOf(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < line.length; at += 1) {
    const char = line[at];
    if (quote !== "") {
      if (char === quote) quote = "";
      else word = (word ?? "") + char;
    } else if (char === "\\" && at + 1 < line.length) {
      word = (word ?? "") + line[(at += 1)];
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= "";
    } else if (char === "#") {
      break;
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + char;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}
