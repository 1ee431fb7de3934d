import { AbortedError, messageOf, type ProblemReport } from "../../errors";
import { sleep } from "../../wait";
import type { RecordPlan, RecordSpec, RecordStatus, ShiftPreparation } from "../api";
import type { NameServer } from "../ports";
import type { EventLog } from "./event-log";
import { NamedMutex } from "./named-mutex";
import { AgentError, isRefusal } from "./problems";
import { Reviver } from "./reviver";
import type { AgentState, NameRecord } from "./state";

const LOOK_MS = 1_000;

/** The global records of a site that has a name server. */
export class NameRecords {
  private readonly changes = new NamedMutex();
  private readonly stopping = new AbortController();
  private readonly reviver: Reviver | undefined;
  /** Records of other agents, and the serial at which they were looked at. */
  private readonly others = new Map<string, number>();
  private watching: Promise<void> = Promise.resolve();

  constructor(
    private readonly site: string,
    private readonly state: AgentState,
    private readonly nameServer: NameServer | undefined,
    private readonly context: {
      readonly events: EventLog;
      readonly save: () => Promise<void>;
      readonly log: (line: string) => void;
      /** {@link AgentOptions.waitForParts} */
      readonly waits: boolean;
    },
  ) {
    this.reviver = nameServer && new Reviver("the name server", () => nameServer.start(), context.log);
  }

  /** `address:port` of the name server, where there is one. */
  get endpoint(): string | undefined {
    return this.nameServer?.endpoint;
  }

  /** What keeps the name server from being used. */
  get problems(): readonly ProblemReport[] {
    return this.reviver?.problems ?? [];
  }

  async start(): Promise<void> {
    if (!this.reviver) return;
    await this.reviver.begin(this.context.waits);
    try {
      if (this.reviver.isThere) await this.restore();
    } catch (error) {
      if (!this.context.waits) throw error;
    }
    this.watching = this.watch();
  }

  /** Ends the waits of changes that are under way. */
  interrupt(): void {
    this.stopping.abort();
  }

  async stop(): Promise<void> {
    this.interrupt();
    await this.watching;
    await this.reviver?.stop();
  }

  /** @param unwanted fires when nobody waits for the answer any more */
  put(name: string, spec: RecordSpec, unwanted?: AbortSignal): Promise<RecordStatus> {
    const signal = this.until(unwanted);
    const server = this.mustHaveServer(name, 409);
    return this.changes.at(name, async () => {
      // Refused before it is written down: nothing is half changed.
      this.reviver?.mustBeThere();
      const before = this.state.records[name];
      // Of one that is not known here (the state was lost) a name server that keeps records knows the owner.
      if (before) mustOwn(name, before.spec.owner, spec.owner);
      this.state.records[name] = { name, spec };
      await this.context.save();
      const status = await this.asked(() => server.put(name, spec, signal)).catch(async (error: unknown) => {
        if (error instanceof AbortedError) throw await this.interrupted(name, before, server);
        // A refusal is no. Of one that went away it is not known, so it is given again what was declared before. Any other silence may
        // have been a yes, and is asked about again.
        if (isRefusal(error) || this.reviver?.isThere === false) await this.takeBack(name, before);
        throw error;
      });
      if (!sameSpec(before?.spec, spec)) {
        this.context.events.add("record-changed", name, answersOf(spec));
      }
      return status;
    });
  }

  async get(name: string): Promise<RecordStatus> {
    const server = this.mustHaveServer(name, 404);
    const status = await this.asked(() => server.get(name));
    if (status) return status;
    throw notFound(this.site, name);
  }

  /** @param unwanted as of {@link put} */
  remove(name: string, owner: string, unwanted?: AbortSignal): Promise<void> {
    const server = this.mustHaveServer(name, 404);
    return this.changes.at(name, async () => {
      const before = this.state.records[name];
      const holder = before?.spec.owner ?? (await this.heldBy(name, server));
      if (holder === undefined) throw notFound(this.site, name);
      mustOwn(name, holder, owner);
      await this.asked(() => server.remove(name, this.until(unwanted))).catch((error: unknown) => {
        // It is removed there; only secondaries were still waited for.
        if (!(error instanceof AbortedError)) throw error;
      });
      delete this.state.records[name];
      await this.context.save();
      this.context.events.add("record-removed", name, before ? answersOf(before.spec) : "");
    });
  }

  /** What a put would be refused for now. Changes nothing. @throws AgentError with status 503 while the name server is silent */
  async plan(name: string, spec: RecordSpec): Promise<RecordPlan> {
    const server = this.mustHaveServer(name, 409);
    const before = this.state.records[name];
    const exists = before !== undefined;
    if (before && before.spec.owner !== spec.owner) {
      const { report } = ownedByAnother(name, before.spec.owner, spec.owner);
      return { problems: [report], notes: [], exists };
    }
    const { problems = [], notes = [] } =
      (await this.asked(async () => server.planRecord?.(name, spec))) ?? {};
    return { problems, notes, exists };
  }

  /** Lowers the record's TTL ahead of a shift, where the name server can. */
  async prepare(name: string): Promise<ShiftPreparation> {
    const server = this.mustHaveServer(name, 404);
    if (!this.state.records[name]) throw notFound(this.site, name);
    const prepared = await this.asked(async () => server.prepareShift?.(name));
    if (!prepared) return {};
    this.context.log(`record ${name}: its TTL is lowered ahead of a shift`);
    return { readyAt: prepared.readyAt };
  }

  /** What the name server holds. */
  async held(): Promise<readonly RecordStatus[]> {
    const server = this.nameServer;
    return server ? this.asked(() => server.list()) : [];
  }

  /**
   * What users are sent by, or may be at any moment: what the name server holds, and after it what was declared to this agent and is
   * not held so (yet), with serial 0. A gate that closes asks for both.
   */
  async list(): Promise<readonly RecordStatus[]> {
    const held = await this.held();
    const at = Date.now();
    // After the name server was asked: a change that was begun meanwhile is among them.
    const heldSpecs = new Map(held.map(({ name, spec }) => [name, spec]));
    const declared = Object.values(this.state.records)
      .filter(({ name, spec }) => !sameSpec(heldSpecs.get(name), spec))
      .map(({ name, spec }) => ({ name, spec, changedAt: at, serial: 0 }));
    return [...held, ...declared];
  }

  /** Who declared a record of this agent's that it does not know: it lost its state. */
  private async heldBy(name: string, server: NameServer): Promise<string | undefined> {
    if (!server.keepsRecords) return undefined;
    return (await this.asked(() => server.get(name)))?.spec.owner;
  }

  /** A name server that does not answer is started again, once, and asked again. @throws AgentError `part-unavailable` */
  private async asked<T>(ask: () => Promise<T>): Promise<T> {
    try {
      this.reviver?.mustBeThere();
      const answer = await ask();
      this.reviver?.answered();
      return answer;
    } catch (error) {
      if (isRefusal(error) || error instanceof AbortedError || this.reviver === undefined) throw error;
      const { reviver } = this;
      await reviver.revive(error).catch((why: unknown) => {
        throw reviver.unavailable(why);
      });
      return await ask().catch((again: unknown) => {
        throw isRefusal(again) ? again : reviver.unavailable(again);
      });
    }
  }

  private async watch(): Promise<void> {
    const { signal } = this.stopping;
    let logged: string | undefined;
    while (!signal.aborted) {
      await sleep(LOOK_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await this.restore();
        logged = undefined;
      } catch (error) {
        // What keeps it from being there is logged where it is started.
        if (messageOf(error) !== logged && this.reviver?.isThere) this.context.log(messageOf(error));
        logged = messageOf(error);
      }
    }
  }

  /**
   * What the name server lost is given to it again. What it has besides is removed where it is the agent's own; elsewhere the agent
   * has lost its state, and takes the records up: users are sent by them.
   */
  private restore(): Promise<void> {
    const server = this.nameServer;
    if (!server) return Promise.resolve();
    return this.changes.run(async () => {
      const held = new Map((await this.asked(() => server.list())).map((status) => [status.name, status]));
      const failed: unknown[] = [];
      for (const { name, spec } of Object.values(this.state.records)) {
        if (sameSpec(held.get(name)?.spec, spec)) continue;
        try {
          await server.put(name, spec, this.stopping.signal);
          this.context.events.add("record-changed", name, `restored: ${answersOf(spec)}`);
        } catch (error) {
          // One that cannot be given again keeps no other from it.
          failed.push(error);
        }
      }
      for (const status of held.values())
        if (!this.state.records[status.name]) await this.unknown(status, server);
      if (failed.length > 0) throw failed[0];
    });
  }

  private async unknown({ name, spec, serial }: RecordStatus, server: NameServer): Promise<void> {
    if (!server.keepsRecords) return server.remove(name);
    // One whose answers somebody changed is not declared anew from them.
    if (spec.answers.length === 0) return;
    if (this.others.get(name) === serial) return;
    if (!((await server.takesUp?.(name)) ?? true)) {
      if (!this.others.has(name))
        this.context.log(
          `record ${name}: another agent of this installation's name wrote it; it is left as it is`,
        );
      this.others.set(name, serial);
      return;
    }
    // From now on it bears this agent's own mark.
    await server.put(name, spec, this.stopping.signal);
    this.state.records[name] = { name, spec };
    await this.context.save();
    this.context.events.add("record-changed", name, `taken up: ${answersOf(spec)}`);
  }

  private until(unwanted: AbortSignal | undefined): AbortSignal {
    const { signal } = this.stopping;
    return unwanted ? AbortSignal.any([unwanted, signal]) : signal;
  }

  /** Of a change that was ended while it waited: one that is not made is not declared either. */
  private async interrupted(
    name: string,
    before: NameRecord | undefined,
    server: NameServer,
  ): Promise<AgentError> {
    const spec = this.state.records[name].spec;
    const isMade = await server.get(name).then(
      (status) => sameSpec(status?.spec, spec),
      () => true,
    );
    if (!isMade) await this.takeBack(name, before);
    return new AgentError("part-unavailable", {
      place: `record ${name}`,
      problem: `its change was ended while it was waited for: ${this.stopping.signal.aborted ? "the agent is being stopped" : "nobody waited for the answer"}`,
      mend: `${isMade ? "It was written; apply" : "Answers stay as they were. Apply"} again to go on from what stands there.`,
    });
  }

  private async takeBack(name: string, before: NameRecord | undefined): Promise<void> {
    if (before) this.state.records[name] = before;
    else delete this.state.records[name];
    await this.context.save();
  }

  private mustHaveServer(name: string, status: number): NameServer {
    if (this.nameServer) return this.nameServer;
    throw new AgentError(
      "no-name-server",
      {
        place: `record ${name}`,
        problem: `site "${this.site}" has no name server`,
        mend: "Name a site that has one in `name_server`, or start this agent with --name-server.",
      },
      { status },
    );
  }
}

function mustOwn(name: string, owner: string, asking: string): void {
  if (owner !== asking) throw ownedByAnother(name, owner, asking);
}

function ownedByAnother(name: string, owner: string, asking: string): AgentError {
  return new AgentError("owned-by-another", {
    place: `record ${name}`,
    problem: `the record "${name}" belongs to "${owner}", not to "${asking}"`,
    mend: "Choose another name, or have its owner remove it.",
    attribute: ["owner"],
  });
}

function notFound(site: string, name: string): AgentError {
  return new AgentError("not-found", {
    place: `record ${name}`,
    problem: `the name server of site "${site}" has no record "${name}"`,
    mend: "Declare it first, or correct the name.",
  });
}

function sameSpec(one: RecordSpec | undefined, other: RecordSpec): boolean {
  const of = ({ owner, ttlSeconds, answers }: RecordSpec) =>
    JSON.stringify([
      owner,
      ttlSeconds,
      answers.map(({ site, address, weight, pool }) => [site, address, weight, pool]),
    ]);
  return one !== undefined && of(one) === of(other);
}

function answersOf({ answers, ttlSeconds }: RecordSpec): string {
  return `${answers.map(({ site, weight }) => `${site} ${weight}`).join(", ")}, TTL ${ttlSeconds} s`;
}
