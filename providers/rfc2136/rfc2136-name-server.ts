import { Mutex } from "../../lib/site/agent/mutex";
import type { RecordPlan, RecordSpec, RecordStatus } from "../../lib/site/api";
import type { NameServer, PartCheck } from "../../lib/site/ports";
import { AbortedError } from "../../lib/errors";
import { sleep } from "../../lib/wait";
import {
  formatHostPort,
  instanceOf,
  isOwnInstance,
  isSameInstance,
  mustBeMarkable,
  mustBeOwners,
  mustBeOwnInstance,
  ownedByAnother,
  refusalOf,
  untilSecondariesHave,
  Zones,
  zoneSerial,
  type OwnershipMark,
} from "../dns";
import { isWithin, normalName } from "../local/nameserver/names";
import { answersOf, refuseInvalid } from "../local/nameserver/records";
import { answerType } from "../local/nameserver/zone";
import { putUpdate, removeUpdate, trialUpdate, type PresentMark } from "./changes";
import { checkServer } from "./check";
import { LostRace, outsideZones, refusedPlan, stillOld, unmarkedRecord } from "./errors";
import { sendUpdate } from "./exchange";
import { Index } from "./index-names";
import { answeredAddresses, askAnything, askPrimary, markTexts, ownMark } from "./look";
import { settingsOf, type Rfc2136Options, type Settings } from "./options";
import { planAnswers, type AnswerPlan } from "./weights";
import type { Update } from "./wire";

const LOOK_MS = 50;

/**
 * An authoritative server that takes dynamic updates (RFC 2136) signed with TSIG (RFC 8945): BIND, Knot, PowerDNS and others. It has no
 * weights and no health checks of its own: {@link planAnswers} says what becomes of them.
 */
export class Rfc2136NameServer implements NameServer {
  readonly kind = "rfc2136";
  readonly keepsRecords = true;
  private readonly settings: Settings;
  private readonly index: Index;
  private readonly zones: Zones;
  private readonly changes = new Mutex();

  /** @throws SpillwayError, SpillwayErrors for options that cannot be */
  constructor(options: Rfc2136Options) {
    this.settings = settingsOf(options);
    this.index = new Index(this.settings);
    this.zones = new Zones(this.settings.zones, () => checkServer(this.settings));
  }

  get endpoint(): string {
    return formatHostPort(this.settings.endpoint);
  }

  /** Finds out whether the server takes our updates, if not of every zone, and changes nothing. @throws SpillwayError, SpillwayErrors */
  async start(): Promise<void> {
    await this.zones.start();
  }

  /** {@link NameServer.check} */
  async check(signal?: AbortSignal): Promise<PartCheck> {
    const { problems, warnings } = await checkServer(this.settings, signal);
    return { problems, advice: warnings };
  }

  /** What would be answered, with notes and problems for the plan. Asks nobody. */
  plan(name: string, spec: RecordSpec): AnswerPlan {
    return planAnswers(normalName(name), spec, this.settings.weights);
  }

  /** {@link NameServer.planRecord}. The server itself is asked, by a signed update that changes nothing. */
  async planRecord(name: string, spec: RecordSpec): Promise<Pick<RecordPlan, "problems" | "notes">> {
    const key = normalName(name);
    try {
      const zone = this.mustBeInside(key, spec);
      const { problems, notes } = this.plan(key, spec);
      if (problems.length > 0) return { problems, notes };
      // A server that cannot tell what stands there refuses the update, and knows best why.
      const present = await this.look(key, askAnything);
      await sendUpdate(this.settings, `record ${key}`, trialUpdate(zone, key, present, spec)).catch(
        (error: unknown) => {
          // A record that changes just now is not refused later.
          if (!(error instanceof LostRace)) throw error;
          if (!present) throw unmarkedRecord(this.settings.server, key);
        },
      );
      return { problems, notes };
    } catch (error) {
      return { problems: [refusalOf(error)], notes: [] };
    }
  }

  /**
   * Makes the record so; the same again changes nothing.
   * @throws SpillwayError with code `invalid` or `owned-by-another` (nothing changed), without one when the server does not answer
   * @throws LostRace when somebody else changed the record meanwhile (nothing changed)
   */
  put(name: string, spec: RecordSpec, signal?: AbortSignal): Promise<RecordStatus> {
    return this.changes.run(() => this.make(normalName(name), spec, signal));
  }

  /** What is answered and whose it is. A record whose answers somebody else removed or changed has none. */
  async get(name: string): Promise<RecordStatus | undefined> {
    const key = normalName(name);
    const zone = this.zoneOf(key);
    if (zone === undefined) return undefined;
    const present = await this.look(key).catch(async (error: unknown) => {
      // Why it cannot tell, where that is known.
      await this.zones.mustBeWritable(zone);
      throw error;
    });
    return present && this.statusOf(key, present.mark);
  }

  /** All records of this installation. */
  list(): Promise<readonly RecordStatus[]> {
    return this.index.all((name, mark) => this.statusOf(name, mark));
  }

  /** Idempotent. @throws SpillwayError with code `owned-by-another`; LostRace */
  remove(name: string, signal?: AbortSignal): Promise<void> {
    const key = normalName(name);
    return this.changes.run(async () => {
      const zone = this.zoneOf(key);
      const present = zone === undefined ? undefined : await this.look(key);
      if (zone === undefined || present === undefined) return;
      mustBeOwnInstance(key, present.mark, this.settings);
      try {
        await this.send(key, removeUpdate(zone, key, present));
      } catch (error) {
        // An answer that was lost may have been a yes.
        if (error instanceof LostRace && (await this.look(key)) === undefined) return;
        throw error;
      }
      await this.follow(zone, signal);
    });
  }

  /** {@link NameServer.takesUp} */
  async takesUp(name: string): Promise<boolean> {
    const key = normalName(name);
    const zone = this.zoneOf(key);
    if (zone === undefined) return false;
    const mark = (await this.look(key))?.mark;
    return mark !== undefined && isOwnInstance(mark, this.settings);
  }

  /** It is not ours to end. */
  async stop(): Promise<void> {}

  private async make(key: string, spec: RecordSpec, signal: AbortSignal | undefined): Promise<RecordStatus> {
    if (signal?.aborted) throw new AbortedError("stopped");
    const zone = this.mustBeInside(key, spec);
    const plan = this.plan(key, spec);
    if (plan.problems.length > 0) throw refusedPlan(plan.problems);
    await this.zones.mustBeWritable(zone);
    const present = await this.look(key, askAnything);
    mustBeOwners(key, present?.mark, spec);
    mustBeOwnInstance(key, present?.mark, this.settings);
    const isOwn = present !== undefined && isSameInstance(present.mark.instance, this.settings);
    if (present && isOwn && sameSpec(present.mark.spec, spec) && (await this.isAnswered(key, spec, plan))) {
      await this.follow(zone, signal);
      return statusOfMark(key, present.mark);
    }
    const now = Date.now();
    const isSame = present !== undefined && answersOf(present.mark.spec) === answersOf(spec);
    const instance = instanceOf(this.settings);
    const mark: OwnershipMark = {
      agent: this.settings.agent,
      ...(instance === undefined ? {} : { instance }),
      spec,
      changedAt: isSame ? present.mark.changedAt : now,
      serial: Math.max((present?.mark.serial ?? 0) + 1, now),
    };
    try {
      await this.send(key, putUpdate(zone, key, present, mark, plan.addresses));
    } catch (error) {
      if (!(error instanceof LostRace)) throw error;
      return this.sayWhoWon(key, present, error);
    }
    await this.untilAnswered(key, mark, plan, signal);
    await this.follow(zone, signal);
    return statusOfMark(key, mark);
  }

  /** A prerequisite failed. @throws SpillwayError that says who was first */
  private async sayWhoWon(key: string, present: PresentMark | undefined, lost: LostRace): Promise<never> {
    const now = await this.look(key);
    if (now === undefined && present === undefined) throw unmarkedRecord(this.settings.server, key);
    if (now === undefined) throw ownedByAnother(key, "unknown", "nobody: it was removed meanwhile");
    throw lost;
  }

  private async send(key: string, update: Update): Promise<void> {
    this.index.forget(update.zone);
    await sendUpdate(this.settings, `record ${key}`, update);
  }

  private async look(key: string, asked = askPrimary): Promise<PresentMark | undefined> {
    const { server, agent, requestMs } = this.settings;
    const texts = await markTexts(server, key, requestMs, asked);
    const mark = ownMark(key, texts, agent);
    return mark && { mark, strings: texts[0] };
  }

  private async follow(zone: string, signal: AbortSignal | undefined): Promise<void> {
    const { server, secondaries, secondariesMs, requestMs } = this.settings;
    if (secondaries.length === 0) return;
    const serial = await zoneSerial(server, zone, requestMs);
    if (serial !== undefined) {
      await untilSecondariesHave(secondaries, zone, serial, secondariesMs, signal);
    }
  }

  private async isAnswered(key: string, spec: RecordSpec, { addresses }: AnswerPlan): Promise<boolean> {
    const { server, requestMs } = this.settings;
    const type = answerType(spec.answers[0]);
    const found = await answeredAddresses(server, key, type, requestMs);
    const said = (list: readonly string[]) => JSON.stringify(list.map((one) => comparable(one)).sort());
    return found.ttlSeconds === spec.ttlSeconds && said(found.addresses) === said(addresses);
  }

  /** A server may go on giving an old answer from a cache of its own. @throws SpillwayError when it does for long */
  private async untilAnswered(
    key: string,
    mark: OwnershipMark,
    plan: AnswerPlan,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const until = Date.now() + this.settings.requestMs;
    while (!(await this.isAnswered(key, mark.spec, plan))) {
      // Somebody who came right after changed it again: what was asked for will never be answered.
      const now = await this.look(key);
      if (now && now.mark.serial > mark.serial) throw new LostRace(this.settings.server, `record ${key}`);
      if (Date.now() > until) throw stillOld(this.settings.server, key, this.settings.requestMs);
      await sleep(LOOK_MS, signal);
    }
  }

  private async statusOf(key: string, mark: OwnershipMark): Promise<RecordStatus> {
    const status = statusOfMark(key, mark);
    const isSo = await this.isAnswered(key, mark.spec, this.plan(key, mark.spec));
    return isSo ? status : { ...status, spec: { ...mark.spec, answers: [] } };
  }

  private mustBeInside(key: string, spec: RecordSpec): string {
    refuseInvalid(key, spec);
    const zone = this.zoneOf(key);
    if (zone === undefined) throw outsideZones(key, this.settings.zones);
    mustBeMarkable(key);
    return zone;
  }

  private zoneOf(key: string): string | undefined {
    const holding = this.settings.zones.filter((zone) => isWithin(key, zone));
    return holding.sort((one, other) => other.length - one.length)[0];
  }
}

function statusOfMark(name: string, { spec, changedAt, serial }: OwnershipMark): RecordStatus {
  return { name, spec, changedAt, serial };
}

/** One spelling of an address or host name. */
function comparable(address: string): string {
  return address.includes(":") ? new URL(`http://[${address}]`).hostname : normalName(address);
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
