import { messageOf, SpillwayError, type ProblemReport } from "../../lib/errors";
import { checkConfigurationText, type Findings } from "./configuration-check";
import type { AttachOptions } from "./haproxy-balancer";
import { poolNames } from "./names";
import { parseInfo, parseProc, parseStat, parseVersion } from "./parse";
import { RuntimeClient, RuntimeRefusal, type AskOptions } from "./runtime-client";
import type { HaproxySettings } from "./settings";
import { stanzaNumber, type StanzaPool } from "./stanza";

/** What is to be checked of a HAProxy that runs. */
export interface Diagnosis extends AttachOptions, AskOptions {
  /** Pools whose stanzas it should have. @default - none */
  readonly pools?: readonly StanzaPool[];
  readonly settings?: HaproxySettings;
  /** Its configuration, as text and path. @default - not looked at */
  readonly configuration?: { readonly text: string; readonly file: string };
}

/** A name that no member has. */
const TRIAL = "spillway-doctor";

/**
 * Looks at a HAProxy of the user's own and says what keeps Spillway from working with it: a socket that is not there or has too low
 * a level, a version before 2.6, a stanza that is missing or of other settings, a backend that takes no members at run time. It
 * changes nothing that serves: the server that it tries to add is in maintenance, and is deleted again.
 * @throws AbortedError
 */
export async function diagnoseHaproxy(diagnosis: Diagnosis): Promise<Findings> {
  const { socket, masterSocket, configuration, pools = [], settings = {} } = diagnosis;
  const written = configuration ? checkConfigurationText(configuration.text, configuration.file) : undefined;
  const problems: ProblemReport[] = [...(written?.problems ?? [])];
  const advice: ProblemReport[] = [...(written?.advice ?? [])];
  const client = new RuntimeClient({ socket });
  const place = `HAProxy at ${socket}`;
  try {
    const level = (await client.ask("show cli level", diagnosis)).trim();
    // Anybody may ask that; who is not answered with a level does not speak to HAProxy.
    if (level !== "admin") problems.push(levelProblem(place, level));
    const info = parseInfo(await client.ask("show info", diagnosis));
    problems.push(...versionProblems(place, info.get("Version") ?? ""));
    if (level === "admin") {
      for (const pool of pools)
        problems.push(...(await poolProblems(client, place, pool, settings, diagnosis)));
    }
    const master = await masterFindings(masterSocket, Number(info.get("Pid")), diagnosis);
    problems.push(...master.problems);
    advice.push(...master.advice);
  } catch (error) {
    problems.push(reportOf(error, place));
  }
  return { problems, advice };
}

function levelProblem(place: string, level: string): ProblemReport {
  const known = level === "operator" || level === "user";
  return {
    place,
    problem: known
      ? `the socket has level \`${level}\`, and members are added with level \`admin\` only`
      : `it answers as no HAProxy does: ${JSON.stringify(level.slice(0, 80))}`,
    mend: known
      ? "Say `level admin` on its `stats socket` line in the global section, then reload HAProxy."
      : "Name the path of a `stats socket` of HAProxy's.",
  };
}

export function versionProblems(place: string, version: string): ProblemReport[] {
  const parsed = parseVersion(version);
  if (parsed && (parsed.major > 2 || (parsed.major === 2 && parsed.minor >= 6))) return [];
  return [
    {
      place,
      problem: `it is version ${version || "unknown"}, which cannot check members that are added at run time`,
      mend: "Install HAProxy 2.6 or later.",
    },
  ];
}

async function poolProblems(
  client: RuntimeClient,
  place: string,
  pool: StanzaPool,
  settings: HaproxySettings,
  options: AskOptions,
): Promise<ProblemReport[]> {
  const { backend, frontend } = poolNames(pool.name);
  const rows = parseStat(`${await client.ask(`show stat ${backend} -1 -1`, options)}\n`);
  const row = rows.find(({ name }) => name === "BACKEND");
  const where = `${place}, pool ${pool.name}`;
  if (row === undefined) {
    return [
      {
        place: where,
        problem: `it has no backend \`${backend}\``,
        mend: "Put the pool's stanza into its configuration, then reload it.",
      },
    ];
  }
  const problems: ProblemReport[] = [];
  const listens = parseStat(await client.ask(`show stat ${frontend} -1 -1`, options));
  if (!listens.some(({ name, column }) => name === "FRONTEND" && column("status") === "OPEN")) {
    problems.push({
      place: where,
      problem: `its frontend \`${frontend}\` is not open`,
      mend: "Put the pool's stanza into its configuration whole, then reload it.",
    });
  }
  if (row.number("iid") !== stanzaNumber(pool, settings)) {
    problems.push({
      place: where,
      problem: "the pool's stanza that it runs is of other settings than the pool's",
      mend: "Put the pool's present stanza in its place, then reload it.",
    });
  }
  try {
    await client.order(`add server ${backend}/${TRIAL} 127.0.0.1:1`, /registered|already exists/i, options);
  } catch (error) {
    if (!(error instanceof RuntimeRefusal)) throw error;
    problems.push({
      place: where,
      problem: `it takes no member at run time: ${error.answer.trim()}`,
      mend: "Use `balance leastconn` (or roundrobin, random) in the pool's backend, as in the stanza.",
    });
  } finally {
    // Also when nobody waits for the answer any more. An agent that works with it may be first to find what does not belong there.
    await client.order(`del server ${backend}/${TRIAL}`, /deleted|no such server/i).catch(() => undefined);
  }
  return problems;
}

async function masterFindings(
  socket: string | undefined,
  worker: number,
  options: AskOptions,
): Promise<Findings> {
  if (socket === undefined) {
    return {
      problems: [],
      advice: [
        {
          place: "HAProxy's master",
          problem:
            "no master socket is named, so users of workers from before a reload are only known to be there, not counted",
          mend: "Start HAProxy with `-W -S /run/haproxy-master.sock,mode,600`, and name that socket too.",
        },
      ],
    };
  }
  const place = `HAProxy's master at ${socket}`;
  try {
    const workers = parseProc(await new RuntimeClient({ socket }).askPatiently("show proc", 500, options));
    if (workers.some(({ pid, old }) => pid === worker && !old)) return { problems: [], advice: [] };
    return {
      problems: [
        {
          place,
          problem: `it is the master of ${workers.map(({ pid }) => pid).join(", ") || "nobody"}, and the stats socket is that of process ${worker}`,
          mend: "Name the sockets of one and the same HAProxy; one that is being reloaded may be asked again.",
        },
      ],
      advice: [],
    };
  } catch (error) {
    return { problems: [reportOf(error, place)], advice: [] };
  }
}

function reportOf(error: unknown, place: string): ProblemReport {
  if (error instanceof SpillwayError) return error.report;
  if (error instanceof Error && error.name === "AbortedError") throw error;
  return { place, problem: messageOf(error), mend: "Look at HAProxy's log." };
}
