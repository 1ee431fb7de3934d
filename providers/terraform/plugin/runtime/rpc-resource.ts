import { Diagnostic } from "../diagnostic";
import type { RawJson, RawState } from "../define";
import { Decimal } from "../values/decimal";
import { parseJson } from "../values/json";
import { NULL_BYTES, pack, unchanged } from "../values/msgpack";
import { sameState, type Raw } from "../values/raw";
import { objectToHandler } from "../values/to-handler";
import {
  bytesOf,
  dataSourceOf,
  diagnostics,
  objectOf,
  resourceContext,
  resourceOf,
  type Handler,
} from "./handlers";
import { PrivateNotes } from "./private-state";
import { finishedState } from "./state";
import type { Attributes, PlanConfig, State } from "../schema";
import { checkConfig } from "./validate";

export const validateResourceConfig: Handler<"ValidateResourceConfig"> = async (
  request,
  session,
  operation,
) => {
  const { schema, validate } = resourceOf(session.provider, request.typeName);
  const config = objectOf(request.config) ?? {};
  operation.reports.push(...checkConfig(schema, config));
  if (!operation.failed && validate) {
    const values = objectToHandler(schema, config) as PlanConfig<Attributes>;
    await operation.attempt(() =>
      validate({ config: values, error: (...about) => operation.error(...about) }, operation.context()),
    );
  }
  return { diagnostics: diagnostics(operation, schema) };
};

export const validateDataResourceConfig: Handler<"ValidateDataResourceConfig"> = async (
  request,
  session,
  operation,
) => {
  const { schema, validate } = dataSourceOf(session.provider, request.typeName);
  const config = objectOf(request.config) ?? {};
  operation.reports.push(...checkConfig(schema, config));
  if (!operation.failed && validate) {
    const values = objectToHandler(schema, config) as PlanConfig<Attributes>;
    await operation.attempt(() =>
      validate({ config: values, error: (...about) => operation.error(...about) }, operation.context()),
    );
  }
  return { diagnostics: diagnostics(operation, schema) };
};

export const upgradeResourceState: Handler<"UpgradeResourceState"> = async (request, session, operation) => {
  const { schema, upgrade, version = 0 } = resourceOf(session.provider, request.typeName);
  const json = request.rawState?.json ?? new Uint8Array(0);
  // At the same version the very bytes go back: nothing is parsed, nothing can be lost.
  if (request.version === version) return { upgradedState: { json } };
  const stored = parseState(json);
  const state = await operation.attempt(async () => {
    const upgradeFrom = upgrade?.[request.version];
    if (!upgradeFrom) {
      throw new Diagnostic({
        summary: `${request.typeName}: no way from a state of version ${request.version} to version ${version}`,
        detail: `Use the release of the provider that wrote it, or remove it from the state and import it again.`,
      });
    }
    const upgraded = await upgradeFrom(stored);
    return finishedState(operation.name, schema, upgraded, [rawOfStored(stored)], false);
  });
  return { upgradedState: state && { msgpack: pack(state) }, diagnostics: diagnostics(operation, schema) };
};

export const readResource: Handler<"ReadResource"> = async (request, session, operation) => {
  const resource = resourceOf(session.provider, request.typeName);
  const { schema } = resource;
  const current = objectOf(request.currentState);
  if (!current) return { newState: { msgpack: NULL_BYTES } };
  const notes = new PrivateNotes(request.private);
  const bytes = await operation.attempt(async () => {
    const context = resourceContext(session, operation, resource, notes, {
      operation: "read",
      state: current,
    });
    const found = await resource.read(
      { state: objectToHandler(schema, current) as State<Attributes> },
      context,
    );
    if (found === null) return NULL_BYTES;
    const state = finishedState(operation.name, schema, found, [current], false);
    return sameState(schema, state, current)
      ? unchanged(bytesOf(request.currentState), current)
      : pack(state);
  });
  return {
    newState: { msgpack: bytes ?? unchanged(bytesOf(request.currentState), current) },
    private: notes.bytes(),
    diagnostics: diagnostics(operation, schema),
  };
};

export const importResourceState: Handler<"ImportResourceState"> = async (request, session, operation) => {
  const { typeName, id } = request;
  const resource = resourceOf(session.provider, typeName);
  const notes = new PrivateNotes(new Uint8Array(0));
  const state = await operation.attempt(async () => {
    if (!resource.importState) throw new Diagnostic({ summary: `${typeName} cannot be imported` });
    const found = await resource.importState({ id }, resourceContext(session, operation, resource, notes));
    if (found === null) {
      throw new Diagnostic({ summary: `There is no ${typeName} with the id ${JSON.stringify(id)}` });
    }
    return finishedState(operation.name, resource.schema, found, [], false);
  });
  return {
    importedResources: state ? [{ typeName, state: { msgpack: pack(state) }, private: notes.bytes() }] : [],
    diagnostics: diagnostics(operation, resource.schema),
  };
};

export const moveResourceState: Handler<"MoveResourceState"> = async (request, session, operation) => {
  const { schema, moveState } = resourceOf(session.provider, request.targetTypeName);
  const stored = parseState(request.sourceState?.json ?? new Uint8Array(0));
  const state = await operation.attempt(async () => {
    const moved = await moveState?.(
      {
        sourceType: request.sourceTypeName,
        sourceProvider: request.sourceProviderAddress,
        sourceVersion: request.sourceSchemaVersion,
        state: stored,
      },
      operation.context(),
    );
    if (moved === undefined) {
      throw new Diagnostic({
        summary: `${request.sourceTypeName} cannot be moved to ${request.targetTypeName}`,
        detail: `Its state comes from ${request.sourceProviderAddress}.`,
      });
    }
    return finishedState(operation.name, schema, moved, [rawOfStored(stored)], false);
  });
  return { targetState: state && { msgpack: pack(state) }, diagnostics: diagnostics(operation, schema) };
};

function parseState(json: Uint8Array): RawState {
  const value = parseJson(Buffer.from(json).toString("utf8"));
  if (value === null || typeof value !== "object" || Array.isArray(value) || value instanceof Decimal) {
    throw new Diagnostic({ summary: "The stored state is not a JSON object" });
  }
  return value;
}

/** Stored JSON in the form of values on the wire: a number's digits serve as hints when it comes back from a handler. */
function rawOfStored(json: RawJson): Raw {
  if (json instanceof Decimal) return json.toString();
  if (Array.isArray(json)) return json.map(rawOfStored);
  if (json !== null && typeof json === "object") {
    return Object.fromEntries(Object.entries(json).map(([key, part]) => [key, rawOfStored(part)]));
  }
  return json;
}
