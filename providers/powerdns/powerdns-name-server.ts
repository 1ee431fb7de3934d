import { NamedMutex } from "../../lib/site/agent/named-mutex";
import type { RecordPlan, RecordSpec, RecordStatus } from "../../lib/site/api";
import type { NameServer, PartCheck } from "../../lib/site/ports";
import { AbortedError } from "../../lib/errors";
import { sleep } from "../../lib/wait";
import {
  formatHostPort,
  Findings,
  instanceOf,
  isOwnInstance,
  isSameInstance,
  markName,
  mustBeFree,
  mustBeMarkable,
  mustBeOwners,
  mustBeOwnInstance,
  ownedByAnother,
  refusalOf,
  untilSecondariesHave,
  Zones,
  type OwnershipMark,
} from "../dns";
import { isWithin, normalName } from "../local/nameserver/names";
import { answersOf, refuseInvalid } from "../local/nameserver/records";
import { answerType } from "../local/nameserver/zone";
import { PowerDnsApi, type RrSet, type RrSetChange, type ZoneView } from "./api";
import { checkServer } from "./check";
import { notAnswered, notSeenUp, outsideZones } from "./errors";
import { answerContent, healthContent, healthName, checkedAddresses } from "./lua";
import { marksIn, markContent, Marks, type Held } from "./marks";
import { settingsOf, type PowerDnsOptions, type PutStep, type Settings } from "./options";
import { putSteps, type Present } from "./steps";
import { answered, isSame } from "./answered";
import { warmUp } from "./warm-up";
import { Writes } from "./writes";

/**
 * An authoritative PowerDNS (4.7 or later) that others run: records are written through its HTTP API and answered by it alone. It
 * answers on when the agent is gone.
 */
export class PowerDnsNameServer implements NameServer {
  readonly kind = "powerdns";
  readonly keepsRecords = true;
  private readonly settings: Settings;
  private readonly api: PowerDnsApi;
  private readonly marks: Marks;
  private readonly changes = new NamedMutex();
  private readonly writes: Writes;
  /** A plan of many records need not look at the server for each. */
  private readonly findings = new Findings(() => checkServer(this.settings));
  private readonly zones: Zones;

  /** @throws SpillwayError, SpillwayErrors for options that cannot be */
  constructor(options: PowerDnsOptions) {
    this.settings = settingsOf(options);
    this.api = new PowerDnsApi(this.settings);
    this.writes = new Writes(this.api);
    this.marks = new Marks(this.api, this.settings);
    this.zones = new Zones(this.settings.zones, () => checkServer(this.settings));
  }

  get endpoint(): string {
    return formatHostPort(this.settings.endpoint);
  }

  /** Finds out whether everything that is needed is there, but for some of its zones. @throws SpillwayError, SpillwayErrors */
  async start(): Promise<void> {
    await this.zones.start();
  }

  /** {@link NameServer.check} */
  async check(signal?: AbortSignal): Promise<PartCheck> {
    const { problems, warnings } = await checkServer(this.settings, signal);
    return { problems, advice: warnings };
  }

  /**
   * Makes the record so; the same again changes nothing. Steps as {@link PutStep}; `onStep` hears of each.
   * @throws SpillwayError with code `invalid` or `owned-by-another` (nothing changed), without one when PowerDNS does not answer
   */
  put(name: string, spec: RecordSpec, signal?: AbortSignal): Promise<RecordStatus> {
    const key = normalName(name);
    return this.changes.at(key, () => this.make(key, spec, signal));
  }

  /** What is answered and whose it is. A record whose answers somebody else removed or changed has none. */
  async get(name: string): Promise<RecordStatus | undefined> {
    const key = normalName(name);
    const zone = this.zoneOf(key);
    if (zone === undefined) return undefined;
    const { mark, sets } = await this.look(zone, key);
    return mark === undefined ? undefined : this.statusOf(key, mark, sets);
  }

  /** All records of this installation. TTLs that were lowered for a shift and are due are raised. */
  async list(): Promise<readonly RecordStatus[]> {
    const found = await this.marks.all();
    const held = (await this.raiseDue(found)) ? await this.marks.all() : found;
    return held.map(({ name, mark, sets }) => this.statusOf(name, mark, sets));
  }

  /** Idempotent. @throws SpillwayError with code `owned-by-another` */
  remove(name: string, signal?: AbortSignal): Promise<void> {
    const key = normalName(name);
    return this.changes.at(key, async () => {
      const zone = this.zoneOf(key);
      if (zone === undefined) return;
      const { mark } = await this.look(zone, key);
      if (mark === undefined) return;
      mustBeOwnInstance(key, mark, this.settings);
      await this.change(zone, key, this.removal(key));
      await this.follow(zone, await this.api.zone(zone, "none"), signal);
    });
  }

  /** {@link NameServer.planRecord} */
  async planRecord(name: string, spec: RecordSpec): Promise<RecordPlanned> {
    const key = normalName(name);
    try {
      const zone = this.mustBeInside(key, spec);
      await this.marks.mustBeFree(zone, key);
    } catch (error) {
      return { problems: [refusalOf(error)], notes: [] };
    }
    const isAlias = answerType(spec.answers[0]) === "CNAME";
    const notes =
      isAlias && this.settings.health
        ? [`${key}: PowerDNS checks the health of addresses only, so host names are answered by weight alone`]
        : [];
    const { problems, zones } = await this.findings.now();
    const ofOthers = new Set([...zones].flatMap(([each, found]) => (each === this.zoneOf(key) ? [] : found)));
    return { problems: problems.filter((one) => !ofOthers.has(one)), notes };
  }

  /**
   * Lowers the TTL ahead of a shift: as soon as one is foreseen, at a launch's beginning. It comes back `holdMs` after the declared TTL is
   * over, unless this is called again or a put shifts meanwhile. The declared TTL, as `get` shows it, stays.
   * @returns when answers with the higher TTL have left all caches; undefined when there is nothing to lower (any more)
   */
  prepareShift(name: string): Promise<{ readonly readyAt: number } | undefined> {
    const key = normalName(name);
    return this.changes.at(key, async () => {
      const { shift } = this.settings;
      const zone = this.zoneOf(key);
      if (shift === undefined || zone === undefined) return undefined;
      const { mark, sets } = await this.look(zone, key);
      const presentSeconds = sets.find(({ type }) => type === "LUA")?.ttl;
      if (mark === undefined || presentSeconds === undefined) return undefined;
      mustBeOwnInstance(key, mark, this.settings);
      const declaredMs = 1_000 * mark.spec.ttlSeconds;
      if (mark.spec.ttlSeconds <= shift.ttlSeconds) return undefined;
      const isHigh = presentSeconds > shift.ttlSeconds;
      const raiseAt = Date.now() + declaredMs + shift.holdMs;
      // Written again only when half of that time is over: whoever keeps it low asks often.
      if (!isHigh && mark.shift && mark.shift.raiseAt > raiseAt - (declaredMs + shift.holdMs) / 2)
        return undefined;
      const lowered: OwnershipMark = { ...mark, shift: { ttlSeconds: shift.ttlSeconds, raiseAt } };
      await this.change(zone, key, [this.answerSet(key, lowered), markSet(key, lowered)]);
      await this.follow(zone, await this.api.zone(zone, "none"));
      return isHigh ? { readyAt: Date.now() + 1_000 * presentSeconds } : undefined;
    });
  }

  /** What a put of this would do now. @throws SpillwayError as `put` would */
  async steps(name: string, spec: RecordSpec): Promise<readonly PutStep[]> {
    const key = normalName(name);
    const zone = this.mustBeInside(key, spec);
    return putSteps(presentOf(await this.look(zone, key)), spec, this.settings);
  }

  /** {@link NameServer.takesUp} */
  async takesUp(name: string): Promise<boolean> {
    const key = normalName(name);
    const zone = this.zoneOf(key);
    if (zone === undefined) return false;
    const mark = (await this.look(zone, key))?.mark;
    return mark !== undefined && isOwnInstance(mark, this.settings);
  }

  /** It is not ours to end. */
  async stop(): Promise<void> {}

  private async make(key: string, spec: RecordSpec, signal: AbortSignal | undefined): Promise<RecordStatus> {
    const zone = this.mustBeInside(key, spec);
    await this.zones.mustBeWritable(zone);
    const found = await this.look(zone, key);
    const present = presentOf(found);
    mustBeOwners(key, present?.mark, spec);
    mustBeOwnInstance(key, present?.mark, this.settings);
    const isOwn = present !== undefined && isSameInstance(present.mark.instance, this.settings);
    if (
      present &&
      isOwn &&
      sameSpec(present.mark.spec, spec) &&
      this.isAnswered(key, present.mark, found.sets)
    ) {
      await this.untilFollowed(zone, found.serial, signal);
      return statusOfMark(key, present.mark);
    }
    const steps = putSteps(present, spec, this.settings);
    const raise = steps.find((step) => step.kind === "raise-ttl");
    const write = steps.find((step) => step.kind === "write");
    await this.prepare(zone, key, present, spec, steps, signal);
    // That took its time: whoever made the name his own meanwhile keeps it.
    if (steps.some(({ kind }) => kind === "warm-up" || kind === "lower-ttl")) await this.look(zone, key);
    const now = Date.now();
    const isUnmoved = present !== undefined && answersOf(present.mark.spec) === answersOf(spec);
    const mark: OwnershipMark = {
      agent: this.settings.agent,
      ...this.instance(),
      spec,
      changedAt: isUnmoved ? present.mark.changedAt : now,
      serial: Math.max((present?.mark.serial ?? 0) + 1, now),
      ...(raise && write ? { shift: { ttlSeconds: write.ttlSeconds, raiseAt: now + raise.afterMs } } : {}),
      ...(isUnmoved && present.mark.shift ? { shift: present.mark.shift } : {}),
    };
    if (write) this.settings.onStep(key, write);
    await this.change(zone, key, [
      this.answerSet(key, mark),
      markSet(key, mark),
      ...this.healthSets(key, spec),
    ]);
    const view = await this.mustStand(zone, key, mark, present);
    for (const step of steps) if (step.kind === "follow") this.settings.onStep(key, step);
    await this.follow(zone, view, signal);
    if (raise) this.settings.onStep(key, raise);
    const status = statusOfMark(key, mark);
    if (present === undefined || isUnmoved) return status;
    const staleMs = staleMsOf(present, steps, this.settings.shift?.holdMs ?? 0, now);
    return staleMs === present.mark.spec.ttlSeconds * 1_000 ? status : { ...status, staleMs };
  }

  /** What comes before the change itself: caches are made to forget sooner, and new addresses are checked. Answers stay the same. */
  private async prepare(
    zone: string,
    key: string,
    present: Present | undefined,
    spec: RecordSpec,
    steps: readonly PutStep[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (signal?.aborted) throw new AbortedError("stopped");
    const { endpoint, warmUpMs, onStep } = this.settings;
    const lower = steps.find((step) => step.kind === "lower-ttl");
    const warm = steps.find((step) => step.kind === "warm-up");
    const before = present ? checkedAddresses(present.mark.spec) : [];
    const started = Date.now();
    const changes: RrSetChange[] = [];
    if (present && lower) {
      onStep(key, lower);
      const raiseAt = started + lower.waitMs + warmUpMs + (this.settings.shift?.holdMs ?? 0);
      const lowered = { ...present.mark, shift: { ttlSeconds: lower.ttlSeconds, raiseAt } };
      changes.push(this.answerSet(key, lowered), markSet(key, lowered));
    }
    if (warm) changes.push(...this.healthSets(key, [...before, ...warm.addresses]));
    if (changes.length > 0) await this.change(zone, key, changes);
    const undo = present
      ? [this.answerSet(key, present.mark), markSet(key, present.mark), ...this.healthSets(key, before)]
      : this.healthSets(key, []);
    const orUndo = async <T>(wait: Promise<T>): Promise<T> =>
      wait.catch(async (error: unknown) => {
        if (error instanceof AbortedError && changes.length > 0) await this.change(zone, key, undo);
        throw error;
      });
    if (warm) {
      onStep(key, warm);
      const { down, seen } = await orUndo(warmUp(endpoint, key, warm.addresses, warmUpMs, signal));
      // Of a whole set that is given again (a server that lost its zone), one that serves is enough.
      const isRefused = present ? down.length > 0 : down.length === spec.answers.length;
      if (isRefused) {
        await this.change(zone, key, undo);
        throw notSeenUp(key, down, seen, warmUpMs);
      }
    }
    const restMs = (lower?.waitMs ?? 0) - (Date.now() - started);
    if (restMs > 0) await orUndo(sleep(restMs, signal));
  }

  /**
   * The API knows no prerequisites: whoever wrote at the same time is found by reading again what stands there. And a record may be
   * written and yet not be answered (Lua is switched off, a zone below this one holds the name): then all is made as it was.
   */
  private async mustStand(
    zone: string,
    key: string,
    mark: OwnershipMark,
    present: Present | undefined,
  ): Promise<ZoneView> {
    const { api, endpoint } = this.settings;
    const { addresses, seen } = await answered(endpoint, key, answerType(mark.spec.answers[0]));
    const isAnswered =
      addresses.length > 0 &&
      addresses.every((one) => mark.spec.answers.some(({ address }) => isSame(address, one)));
    // What is taken back must be ours: so whose it is comes last.
    const view = await this.api.zone(zone, { name: markName(key) });
    const now = this.markIn(key, view, []);
    if (now === undefined || now.serial !== mark.serial || !sameSpec(now.spec, mark.spec))
      throw ownedByAnother(key, now?.agent ?? "unknown", now?.spec.owner ?? "nobody: it was removed at once");
    if (isAnswered) return view;
    const undo = present
      ? [
          this.answerSet(key, present.mark),
          markSet(key, present.mark),
          ...this.healthSets(key, present.mark.spec),
        ]
      : this.removal(key);
    await this.change(zone, key, undo);
    throw notAnswered(api, key, formatHostPort(endpoint), seen);
  }

  private async raiseDue(held: readonly Held[]): Promise<boolean> {
    const isDue = ({ shift }: OwnershipMark) => shift !== undefined && shift.raiseAt <= Date.now();
    const due = held.filter(({ mark }) => isDue(mark) && isOwnInstance(mark, this.settings));
    for (const { name, zone } of due) {
      await this.changes.at(name, async () => {
        const { mark, sets } = await this.look(zone, name);
        if (mark === undefined || !isDue(mark) || !sets.some(({ type }) => type === "LUA")) return;
        const { shift: _over, ...raised } = mark;
        await this.change(zone, name, [this.answerSet(name, raised), markSet(name, raised)]);
        await this.follow(zone, await this.api.zone(zone, "none"));
      });
    }
    return due.length > 0;
  }

  private instance(): Pick<OwnershipMark, "instance"> {
    const instance = instanceOf(this.settings);
    return instance === undefined ? {} : { instance };
  }

  private async look(zone: string, key: string): Promise<Found> {
    const [own, marked] = await Promise.all([
      this.api.zone(zone, { name: key }),
      this.api.zone(zone, { name: markName(key) }),
    ]);
    const types = own.rrsets.map(({ type }) => type);
    return { mark: this.markIn(key, marked, types), sets: own.rrsets, serial: marked.edited_serial };
  }

  /** @throws SpillwayError with code `owned-by-another` */
  private markIn(key: string, { rrsets }: ZoneView, types: readonly string[]): OwnershipMark | undefined {
    return mustBeFree(key, { marks: marksIn(rrsets), types }, this.settings.agent);
  }

  private async change(zone: string, key: string, changes: readonly RrSetChange[]): Promise<void> {
    await this.writes.change(zone, key, changes);
    this.marks.forget(zone);
  }

  private async follow(
    zone: string,
    { kind, edited_serial: serial }: ZoneView,
    signal?: AbortSignal,
  ): Promise<void> {
    if (kind === "Native" || kind === "Slave" || kind === "Secondary") return;
    await this.api.notify(zone);
    await this.untilFollowed(zone, serial, signal);
  }

  private async untilFollowed(zone: string, serial: number, signal: AbortSignal | undefined): Promise<void> {
    const { secondaries, secondariesMs } = this.settings;
    if (secondaries.length > 0) {
      await untilSecondariesHave(secondaries, zone, serial, secondariesMs, signal);
    }
  }

  private answerSet(key: string, { spec, shift }: OwnershipMark): RrSetChange {
    const ttl = shift?.ttlSeconds ?? spec.ttlSeconds;
    return { name: key, type: "LUA", ttl, contents: [answerContent(spec, this.settings)] };
  }

  private healthSets(key: string, of: RecordSpec | readonly string[]): readonly RrSetChange[] {
    const { health } = this.settings;
    if (health === undefined) return [];
    const content = healthContent("answers" in of ? checkedAddresses(of) : of, health);
    const name = healthName(key);
    if (content === undefined) return [{ name, type: "LUA", contents: undefined }];
    return [{ name, type: "LUA", ttl: 0, contents: [content] }];
  }

  private removal(key: string): readonly RrSetChange[] {
    return [
      { name: key, type: "LUA", contents: undefined },
      { name: markName(key), type: "TXT", contents: undefined },
      { name: healthName(key), type: "LUA", contents: undefined },
    ];
  }

  private isAnswered(key: string, mark: OwnershipMark, sets: readonly RrSet[]): boolean {
    const wanted = this.answerSet(key, mark);
    return sets.some(
      ({ type, ttl, records }) =>
        type === "LUA" &&
        wanted.contents !== undefined &&
        ttl === wanted.ttl &&
        records.length === 1 &&
        !records[0].disabled &&
        records[0].content === wanted.contents[0],
    );
  }

  private statusOf(key: string, mark: OwnershipMark, sets: readonly RrSet[]): RecordStatus {
    const status = statusOfMark(key, mark);
    return this.isAnswered(key, mark, sets) ? status : { ...status, spec: { ...mark.spec, answers: [] } };
  }

  private zoneOf(key: string): string | undefined {
    const holding = this.settings.zones.filter((zone) => isWithin(key, zone));
    return holding.sort((one, other) => other.length - one.length)[0];
  }

  private mustBeInside(key: string, spec: RecordSpec): string {
    refuseInvalid(key, spec);
    mustBeMarkable(key);
    const zone = this.zoneOf(key);
    if (zone !== undefined) return zone;
    throw outsideZones(key, this.settings.zones);
  }
}

type RecordPlanned = Pick<RecordPlan, "problems" | "notes">;

interface Found {
  readonly mark: OwnershipMark | undefined;
  /** At the name itself. */
  readonly sets: readonly RrSet[];
  readonly serial: number;
}

function presentOf({ mark, sets }: Found): Present | undefined {
  const ttl = sets.find(({ type }) => type === "LUA")?.ttl;
  return mark && { mark, ttlSeconds: ttl ?? 0 };
}

function markSet(key: string, mark: OwnershipMark): RrSetChange {
  return { name: markName(key), type: "TXT", ttl: 0, contents: [markContent(mark)] };
}

/**
 * How long answers of the set before a change, at `now`, may be cached: by the TTL that was given, which may have been lowered for
 * the shift, and by the higher one as far as answers with it are not over yet.
 */
function staleMsOf(
  { ttlSeconds, mark }: Present,
  steps: readonly PutStep[],
  holdMs: number,
  now: number,
): number {
  const lower = steps.find((step) => step.kind === "lower-ttl");
  if (lower) return Math.max(lower.ttlSeconds * 1_000, ttlSeconds * 1_000 - lower.waitMs);
  return Math.max(ttlSeconds * 1_000, mark.shift === undefined ? 0 : mark.shift.raiseAt - holdMs - now);
}

function statusOfMark(name: string, { spec, changedAt, serial }: OwnershipMark): RecordStatus {
  return { name, spec, changedAt, serial };
}

function sameSpec(one: RecordSpec, other: RecordSpec): boolean {
  const of = ({ owner, ttlSeconds, answers }: RecordSpec) =>
    JSON.stringify([
      owner,
      ttlSeconds,
      answers.map(({ site, address, weight, pool }) => [site, address, weight, pool]),
    ]);
  return of(one) === of(other);
}
