/** One row of `show stat`: a frontend, a backend or a server. Columns are HAProxy's own names (management guide, 9.1). */
export interface StatRow {
  readonly proxy: string;
  /** `FRONTEND`, `BACKEND`, or the server's name. */
  readonly name: string;
  /** Any column; empty when HAProxy has nothing to say there. */
  readonly column: (name: string) => string;
  /** A column as a number; 0 when it is empty. */
  readonly number: (name: string) => number;
}

/** Parses `show stat`'s CSV. Lines that are not rows of it are left out. */
export function parseStat(text: string): readonly StatRow[] {
  const lines = text.split("\n");
  const at = lines.findIndex((line) => line.startsWith("# pxname,"));
  if (at === -1) return [];
  const columns = new Map(
    lines[at]
      .slice(2)
      .split(",")
      .map((name, index) => [name, index]),
  );
  return lines.slice(at + 1).flatMap((line) => {
    const fields = parseCsvLine(line);
    if (fields.length < 3) return [];
    const column = (name: string) => fields[columns.get(name) ?? -1] ?? "";
    const row: StatRow = {
      proxy: fields[0],
      name: fields[1],
      column,
      number: (name) => Number(column(name)) || 0,
    };
    return [row];
  });
}

/** Fields may be quoted, with doubled quotes inside (RFC 4180). */
export function parseCsvLine(line: string): string[] {
  const fields: string[] = [];
  let at = 0;
  while (at <= line.length) {
    if (line[at] === '"') {
      let field = "";
      for (at += 1; at < line.length; at += 1) {
        if (line[at] !== '"') field += line[at];
        else if (line[at + 1] === '"') field += line[at++];
        else break;
      }
      fields.push(field);
      const comma = line.indexOf(",", at);
      if (comma === -1) return fields;
      at = comma + 1;
    } else {
      const comma = line.indexOf(",", at);
      if (comma === -1) {
        fields.push(line.slice(at));
        return fields;
      }
      fields.push(line.slice(at, comma));
      at = comma + 1;
    }
  }
  return fields;
}

/** One entry of a stick table. */
export interface TableEntry {
  readonly key: string;
  /** How many streams or connections hold it now. */
  readonly use: number;
  /** Milliseconds until it is forgotten; undefined in a table that forgets nothing. */
  readonly expiresMs: number | undefined;
  /** Stored values by HAProxy's names, without the period of rates: `gpc0`, `http_req_rate`. */
  readonly value: (name: string) => number;
}

/**
 * Parses `show table NAME`. Undefined when HAProxy has no such table.
 */
export function parseTable(text: string): readonly TableEntry[] | undefined {
  const lines = text.split("\n");
  if (!lines.some((line) => line.startsWith("# table:"))) return undefined;
  return lines.flatMap((line) => {
    const match =
      /^0x[0-9a-f]+: key=(.*?) use=(\d+)(?: exp=(\d+))?((?: [a-z0-9_]+(?:\(\d+\))?=-?\d+)*)\s*$/.exec(line);
    if (!match) return [];
    const values = new Map<string, number>();
    for (const pair of match[4].trim().split(" ")) {
      const equals = pair.lastIndexOf("=");
      if (equals > 0)
        values.set(pair.slice(0, equals).replace(/\(\d+\)$/, ""), Number(pair.slice(equals + 1)));
    }
    const entry: TableEntry = {
      // HAProxy writes blanks and equals signs of a key with a backslash before them.
      key: match[1].replace(/\\([ =\\])/g, "$1"),
      use: Number(match[2]),
      expiresMs: match[3] === undefined ? undefined : Number(match[3]),
      value: (name) => values.get(name) ?? 0,
    };
    return [entry];
  });
}

/** Parses the answers to several `show table` commands of one line, by the tables' names. */
export function parseTables(text: string): ReadonlyMap<string, readonly TableEntry[]> {
  const tables = new Map<string, readonly TableEntry[]>();
  for (const part of text.split(/^(?=# table: )/m)) {
    const name = /^# table: ([^,]+),/.exec(part)?.[1];
    const entries = name === undefined ? undefined : parseTable(part);
    if (name !== undefined && entries !== undefined) tables.set(name, entries);
  }
  return tables;
}

/** A server as `show servers state` tells of it (management guide, 9.3). */
export interface ServerState {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly running: boolean;
  /** Held back by an order: no traffic, no checks. */
  readonly inMaintenance: boolean;
  readonly draining: boolean;
  /** Its agent check is switched on. */
  readonly asksAgent: boolean;
  /** As ordered last; health and slow start do not change it. */
  readonly weight: number;
}

const MAINTENANCE = 0x01 | 0x02 | 0x04 | 0x20 | 0x40;
const DRAIN = 0x08 | 0x10;
const AGENT_ENABLED = 0x02;

/** Parses `show servers state BACKEND`. */
export function parseServersState(text: string): readonly ServerState[] {
  const lines = text.split("\n");
  const header = lines.find((line) => line.startsWith("# "));
  if (header === undefined) return [];
  const names = header.slice(2).trim().split(/\s+/);
  return lines.flatMap((line) => {
    if (line.startsWith("#")) return [];
    const fields = line.trim().split(/\s+/);
    if (fields.length < names.indexOf("srv_uweight") + 1) return [];
    const field = (name: string) => fields[names.indexOf(name)] ?? "";
    const admin = Number(field("srv_admin_state"));
    const state: ServerState = {
      name: field("srv_name"),
      address: field("srv_addr"),
      port: Number(field("srv_port")),
      running: Number(field("srv_op_state")) >= 1,
      inMaintenance: (admin & MAINTENANCE) !== 0,
      draining: (admin & DRAIN) !== 0,
      asksAgent: (Number(field("srv_agent_state")) & AGENT_ENABLED) !== 0,
      weight: Number(field("srv_uweight")),
    };
    return [state];
  });
}

/** `show info` as names and values. */
export function parseInfo(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) values.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  return values;
}

/** A worker of a master, as `show proc` tells. */
export interface WorkerProcess {
  readonly pid: number;
  /** Of before a reload: it only serves those who were with it then. */
  readonly old: boolean;
}

/** Parses `show proc` of a master's socket: its workers, the present one first. */
export function parseProc(text: string): readonly WorkerProcess[] {
  const workers: WorkerProcess[] = [];
  let old = false;
  for (const line of text.split("\n")) {
    if (line.startsWith("# old workers")) old = true;
    else if (line.startsWith("#"))
      old = line.startsWith("# programs") || line.startsWith("# old programs") ? false : old;
    const match = /^(\d+)\s+worker\b/.exec(line);
    if (match) workers.push({ pid: Number(match[1]), old });
  }
  return workers.sort((a, b) => Number(a.old) - Number(b.old));
}

/** The version in numbers: `2.6.12-1+deb12u4` is 2.6. Undefined when it is none. */
export function parseVersion(text: string): { readonly major: number; readonly minor: number } | undefined {
  const match = /(\d+)\.(\d+)/.exec(text);
  return match ? { major: Number(match[1]), minor: Number(match[2]) } : undefined;
}
