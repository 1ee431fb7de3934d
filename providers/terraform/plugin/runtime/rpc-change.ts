import { PartialApply, type Resource } from "../define";
import type { Attributes, Config, Plan, PlanConfig, Planned, State } from "../schema";
import { NULL_BYTES, pack, unchanged } from "../values/msgpack";
import { objectFromHandler } from "../values/from-handler";
import { sameState, type RawObject } from "../values/raw";
import { objectToHandler } from "../values/to-handler";
import {
  bytesOf,
  diagnostics,
  dynamic,
  objectOf,
  resourceContext,
  resourceOf,
  type Handler,
  type RequestOf,
} from "./handlers";
import type { Operation } from "./operation";
import { PrivateNotes } from "./private-state";
import { forcedReplacements, proposePlan } from "./propose";
import type { Session } from "./session";
import { finishedState, salvagedState } from "./state";
import { pathWire } from "./wire-diagnostic";

export const planResourceChange: Handler<"PlanResourceChange"> = async (request, session, operation) => {
  const resource = resourceOf(session.provider, request.typeName);
  const { schema } = resource;
  const prior = objectOf(request.priorState);
  const notes = new PrivateNotes(request.priorPrivate);
  const config = objectOf(request.config);
  const done = (plannedState: Uint8Array, replaced: readonly (readonly (string | number)[])[] = []) => ({
    plannedState: { msgpack: plannedState },
    requiresReplace: replaced.map((path) => pathWire(schema, path)),
    plannedPrivate: notes.bytes(),
    diagnostics: diagnostics(operation, schema),
  });

  if (!config || isDestroy(request)) {
    if (prior && resource.planDestroy) {
      const state = objectToHandler(schema, prior) as State<Attributes>;
      await operation.attempt(() =>
        resource.planDestroy?.({ prior: state }, resourceContext(session, operation, resource, notes)),
      );
    }
    return done(NULL_BYTES);
  }

  let planned = proposePlan(schema, config, prior);
  const asked: (readonly (string | number)[])[] = [];
  if (resource.modifyPlan) {
    const change = { config, prior, planned, asked };
    planned =
      (await operation.attempt(() => modifyPlan(session, operation, resource, notes, change))) ?? planned;
  }
  if (!prior) return done(pack(planned));
  const replaced = uniquePaths([...forcedReplacements(schema, planned, prior), ...asked]);
  return done(
    sameState(schema, planned, prior) ? unchanged(bytesOf(request.priorState), prior) : pack(planned),
    replaced,
  );
};

function isDestroy(request: RequestOf<"PlanResourceChange">): boolean {
  return bytesOf(request.proposedNewState).length === 1;
}

async function modifyPlan(
  session: Session,
  operation: Operation,
  resource: Resource<unknown>,
  notes: PrivateNotes,
  {
    config,
    prior,
    planned,
    asked,
  }: {
    config: RawObject;
    prior: RawObject | null;
    planned: RawObject;
    asked: (readonly (string | number)[])[];
  },
): Promise<RawObject> {
  const { schema } = resource;
  const plan = objectToHandler(schema, planned) as Plan<Attributes>;
  await resource.modifyPlan?.(
    {
      prior: prior && (objectToHandler(schema, prior) as State<Attributes>),
      config: objectToHandler(schema, config) as PlanConfig<Attributes>,
      plan,
      replaces: prior !== null && forcedReplacements(schema, planned, prior).length > 0,
      requireReplace: (path) => void asked.push(typeof path === "string" ? [path] : path),
      error: (...about) => operation.error(...about),
    },
    resourceContext(session, operation, resource, notes),
  );
  return objectFromHandler(schema, plan, [planned, config, prior ?? undefined]);
}

function uniquePaths(paths: readonly (readonly (string | number)[])[]): (readonly (string | number)[])[] {
  return [...new Map(paths.map((path) => [JSON.stringify(path), path])).values()];
}

export const applyResourceChange: Handler<"ApplyResourceChange"> = async (request, session, operation) => {
  const resource = resourceOf(session.provider, request.typeName);
  const { schema } = resource;
  const prior = objectOf(request.priorState);
  const planned = objectOf(request.plannedState);
  const notes = new PrivateNotes(request.plannedPrivate);
  let newState: Uint8Array;
  if (planned === null) newState = await applyDelete(request, session, operation, resource, notes, prior);
  else if (
    prior !== null &&
    sameState(schema, planned, prior, (attribute) => attribute.options.timeouts !== undefined)
  ) {
    newState = unchanged(bytesOf(request.plannedState), planned);
  } else newState = await applyChange(request, session, operation, resource, notes, prior, planned);
  return {
    newState: { msgpack: newState },
    private: notes.bytes(),
    diagnostics: diagnostics(operation, schema),
  };
};

async function applyDelete(
  request: RequestOf<"ApplyResourceChange">,
  session: Session,
  operation: Operation,
  resource: Resource<unknown>,
  notes: PrivateNotes,
  prior: RawObject | null,
): Promise<Uint8Array> {
  if (prior === null) return NULL_BYTES;
  await operation.attempt(async () => {
    const context = resourceContext(session, operation, resource, notes, {
      operation: "delete",
      state: prior,
    });
    await resource.delete({ state: objectToHandler(resource.schema, prior) as State<Attributes> }, context);
  });
  return operation.failed ? unchanged(bytesOf(request.priorState), prior) : NULL_BYTES;
}

async function applyChange(
  request: RequestOf<"ApplyResourceChange">,
  session: Session,
  operation: Operation,
  resource: Resource<unknown>,
  notes: PrivateNotes,
  prior: RawObject | null,
  planned: RawObject,
): Promise<Uint8Array> {
  const { schema } = resource;
  const config = objectOf(request.config) ?? {};
  const verb = prior === null ? "create" : "update";
  let result: unknown;
  try {
    const change = {
      planned: objectToHandler(schema, planned) as Planned<Attributes>,
      config: objectToHandler(schema, config) as Config<Attributes>,
    };
    const context = resourceContext(session, operation, resource, notes, { operation: verb, state: planned });
    if (prior === null) result = await resource.create(change, context);
    else
      result = await resource.update?.(
        { prior: objectToHandler(schema, prior) as State<Attributes>, ...change },
        context,
      );
  } catch (thrown) {
    operation.fail(thrown);
    if (thrown instanceof PartialApply) return pack(salvagedState(schema, thrown.state, planned));
    return dynamic(prior).msgpack;
  }
  try {
    return pack(finishedState(operation.name, schema, result, [planned, config, prior ?? undefined], true));
  } catch (defect) {
    // The thing exists: whatever can be said of it must be saved.
    operation.fail(defect);
    return pack(salvagedState(schema, result, planned));
  }
}
