import { isIP } from "node:net";
import type { RecordSpec, RecordStatus } from "../../../lib/site/api";
import { controlProblem } from "../control";
import { readStateFile, writeStateFile } from "../state-file";
import { nameProblem, normalName } from "./names";
import { answerType } from "./zone";

/** Where the server listens. Port 0 means any; then `port` is the one that was got. */
export interface Listening {
  readonly address: string;
  readonly asked: number;
  readonly port: number;
}

interface Saved {
  readonly version: 1;
  readonly serial: number;
  readonly listening?: Listening;
  readonly records: readonly RecordStatus[];
}

/** The records, as last put; written down before each put is answered. */
export class Records {
  private readonly records = new Map<string, RecordStatus>();
  private serial = 0;
  private listeningNow: Listening | undefined;

  constructor(
    private readonly stateFile: string,
    /** Called with all records after each change, before it is answered. */
    private readonly onChange: (records: readonly RecordStatus[]) => void,
  ) {
    const saved = readStateFile<Saved>(stateFile);
    if (saved === undefined) return;
    this.serial = saved.serial;
    this.listeningNow = saved.listening;
    for (const record of saved.records) this.records.set(record.name, record);
  }

  get listening(): Listening | undefined {
    return this.listeningNow;
  }

  set listening(listening: Listening | undefined) {
    this.listeningNow = listening;
    this.save();
  }

  list(): readonly RecordStatus[] {
    return [...this.records.values()];
  }

  get(name: string): RecordStatus | undefined {
    return this.records.get(normalName(name));
  }

  /** Makes the record so. The same again changes nothing. @throws SpillwayError with code `invalid` */
  put(name: string, spec: RecordSpec): RecordStatus {
    refuseInvalid(name, spec);
    const key = normalName(name);
    const present = this.records.get(key);
    if (present !== undefined && JSON.stringify(present.spec) === JSON.stringify(spec)) return present;
    const sameAnswers = present !== undefined && answersOf(present.spec) === answersOf(spec);
    this.serial += 1;
    const status: RecordStatus = {
      name: key,
      spec,
      changedAt: sameAnswers ? present.changedAt : Date.now(),
      serial: this.serial,
    };
    this.change(key, status);
    return status;
  }

  remove(name: string): void {
    const key = normalName(name);
    if (!this.records.has(key)) return;
    this.serial += 1;
    this.change(key, undefined);
  }

  /** In memory only once it is on disk: a change that could not be kept is none. */
  private change(key: string, status: RecordStatus | undefined): void {
    const before = this.records.get(key);
    this.set(key, status);
    try {
      this.save();
    } catch (error) {
      this.set(key, before);
      throw error;
    }
    this.onChange(this.list());
  }

  private set(key: string, status: RecordStatus | undefined): void {
    if (status === undefined) this.records.delete(key);
    else this.records.set(key, status);
  }

  private save(): void {
    const saved: Saved = {
      version: 1,
      serial: this.serial,
      listening: this.listeningNow,
      records: this.list(),
    };
    writeStateFile(this.stateFile, saved);
  }
}

/** What resolvers can tell apart of a record: its TTL, and addresses with weights. */
export function answersOf(spec: RecordSpec): string {
  return JSON.stringify([spec.ttlSeconds, spec.answers.map(({ address, weight }) => [address, weight])]);
}

/** All that is wrong with a record, at once. @throws SpillwayError with code `invalid` */
export function refuseInvalid(name: string, spec: RecordSpec): void {
  const problems: string[] = [];
  const nameIs = nameProblem(name);
  if (nameIs !== undefined) problems.push(`\`${name}\` is no name: ${nameIs}`);
  const { ttlSeconds, answers } = spec;
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 0 || ttlSeconds > 0x7fffffff) {
    problems.push(`\`ttlSeconds\` must be a whole number from 0 to 2147483647, got ${ttlSeconds}`);
  }
  if (answers.length === 0) problems.push("`answers` must hold at least one answer");
  for (const { address, weight, site } of answers) {
    const isAddress = isIP(address) !== 0;
    if (!isAddress && (/^[\d.]+$/.test(address) || nameProblem(address) !== undefined)) {
      problems.push(`the address \`${address}\` of ${site} is neither an address nor a host name`);
    }
    if (!(weight > 0) || !Number.isFinite(weight))
      problems.push(`the weight of ${site} must be above 0, got ${weight}`);
  }
  const types = new Set(answers.map(answerType));
  if (types.size > 1)
    problems.push(`one weighted set has one type of address, got ${[...types].join(" and ")}`);
  if (types.has("CNAME") && answers.some(({ address }) => normalName(address) === normalName(name))) {
    problems.push(`\`${name}\` is an alias of itself`);
  }
  if (problems.length === 0) return;
  throw controlProblem("invalid", {
    place: `record ${name}`,
    problem: problems.join("; "),
    mend: "Correct the record's declaration.",
  });
}
