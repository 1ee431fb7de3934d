import { rmSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { messageOf, throwProblems } from "../errors";
import { policyProblems } from "../policy";
import { sleep } from "../wait";
import type { EventFact } from "./attempt";
import type { ProviderProgress } from "./events";
import { findTerraform } from "./find-terraform";
import { ParametersFile } from "./flip";
import { imageLink } from "./image-link";
import { Journal } from "./journal";
import { acquireLease } from "./lease";
import { Loop } from "./loop";
import type { Clock, HookOptions, TerraformSettings } from "./options";
import { PrePositioner } from "./pre-positioner";
import { shiftAheadOf } from "./shift-ahead";
import { makeScratch, prepareStateDirectory, stateDirectory } from "./state-directory";
import { tail } from "./tail";
import { Terraform } from "./terraform";
import { DEFAULT_KILL_AFTER_MS, endOrphan } from "./terraform-process";

const REAL_CLOCK: Clock = { now: () => Date.now(), sleep };

/**
 * Runs the hook of one burst until `signal` fires: observe, forecast, decide, check, flip, apply, verify. Whatever goes wrong on the way
 * is told and tried again; what is thrown is only what keeps it from starting.
 * @throws SpillwayError when Terraform is missing, the parameters file cannot be used, the policy makes no sense, or (without
 * `waitForLease`) another hook is active
 * @throws AbortedError when stopped while waiting for the lease
 */
export async function runHook(options: HookOptions): Promise<void> {
  const clock = options.clock ?? REAL_CLOCK;
  const policy = options.policy ?? options.manifest.policy;
  throwProblems(policyProblems(policy, `burst ${options.manifest.name}`));
  const emit = (fact: EventFact) => options.onEvent?.({ at: clock.now(), ...fact });
  const { project } = options.directories;
  const { parametersFile } = options.manifest;
  const parameters = new ParametersFile(
    isAbsolute(parametersFile) ? parametersFile : join(project, parametersFile),
    options.manifest,
  );
  parameters.read();
  const wantsTerraform = options.mode === "apply" || options.terraform !== undefined;
  const settings: TerraformSettings = options.terraform ?? {};
  const environment = settings.environment ?? process.env;
  const tool = wantsTerraform
    ? await findTerraform(environment, settings.binary ?? environment.SPILLWAY_TERRAFORM)
    : undefined;

  const state = stateDirectory(project, options.manifest.name);
  prepareStateDirectory(state, project);
  const lease = await acquireLease({
    file: state.lease,
    wait: options.waitForLease ?? true,
    signal: options.signal,
    onWaiting: (message) => emit({ kind: "waiting", message }),
    ...(options.leaseExpiryMs === undefined ? {} : { expiryMs: options.leaseExpiryMs }),
  });
  const signal = AbortSignal.any([options.signal, lease.lost]);
  const killAfterMs = settings.killAfterMs ?? DEFAULT_KILL_AFTER_MS;
  const { prePosition } = options.manifest;
  const link = prePosition && (options.imageLink ?? imageLink(options.manifest));
  let scratch: string | undefined;
  let journal: Journal | undefined;
  try {
    scratch = makeScratch(state);
    journal = Journal.open(state.journal);
    const { applying } = journal.recovered;
    const onWaiting = (message: string) => emit({ kind: "waiting", message });
    if (applying && (await endOrphan(applying, { killAfterMs, signal, onWaiting }))) {
      emit({
        kind: "problem",
        message: `an apply that a killed hook left behind (process ${applying.pid}) was stopped`,
      });
    }
    const log = journal;
    const prePositioner =
      prePosition && link
        ? new PrePositioner({
            ...{ settings: prePosition, link, clock, signal, emit },
            recovered: log.recovered.prePositioned,
            note: (fact) => log.append(fact, clock.now()),
            ...(options.backOff ? { backOff: options.backOff } : {}),
          })
        : undefined;
    const progressFile = options.progressFile ?? join(scratch, "progress.jsonl");
    const loop = new Loop({
      options,
      policy,
      clock,
      journal,
      parameters,
      scratch,
      statusFile: state.status,
      signal,
      emit,
      prePositioner,
      shiftAhead:
        options.mode === "apply" ? (options.shiftAhead ?? shiftAheadOf(options.manifest, signal)) : undefined,
      terraform: tool
        ? new Terraform({
            tool,
            directory: options.directories.stack,
            otherVariableFiles: options.directories.otherVariableFiles ?? [],
            environment: { SPILLWAY_PROGRESS: progressFile, ...environment },
            scratch,
            killAfterMs,
            lockTimeoutMs: settings.lockTimeoutMs ?? 30_000,
          })
        : undefined,
    });
    const follower = tail(progressFile, (line) => {
      const progress = parseProgress(line);
      if (progress) loop.onProgress(progress);
    });
    try {
      await loop.run();
    } finally {
      follower.end();
    }
    if (lease.lost.aborted) {
      emit({ kind: "problem", message: `${messageOf(lease.lost.reason)}: this hook stops` });
    }
  } finally {
    link?.close();
    journal?.close();
    if (scratch !== undefined) rmSync(scratch, { recursive: true, force: true });
    lease.release();
  }
}

function parseProgress(line: string): ProviderProgress | undefined {
  try {
    const value = JSON.parse(line) as Partial<ProviderProgress>;
    return typeof value.step === "string" && typeof value.message === "string"
      ? (value as ProviderProgress)
      : undefined;
  } catch {
    return undefined;
  }
}
