import type { Provider, DataSource, Resource, ResourceContext } from "../define";
import { Diagnostic } from "../diagnostic";
import type { Attributes, TimeoutOperation } from "../schema";
import { parseDurationMs } from "../../../../lib/duration";
import type { DraftOf, MessageOf, PROCEDURES } from "../protocol/messages";
import { isNullBytes, NULL_BYTES, pack, unpack } from "../values/msgpack";
import { asObject, entriesOf, type RawObject } from "../values/raw";
import type { Operation } from "./operation";
import type { PrivateNotes } from "./private-state";
import type { Session } from "./session";
import { diagnosticWire } from "./wire-diagnostic";

type Procedures = typeof PROCEDURES;
export type ProcedureName = keyof Procedures;
export type RequestOf<P extends ProcedureName> = MessageOf<Procedures[P]["request"]>;
export type ResponseOf<P extends ProcedureName> = DraftOf<Procedures[P]["response"]>;

/** Answers one procedure. What it throws is turned into a diagnostic by its caller. */
export type Handler<P extends ProcedureName> = (
  request: RequestOf<P>,
  session: Session,
  operation: Operation,
) => ResponseOf<P> | Promise<ResponseOf<P>>;

/** A state or configuration on the wire. Terraform always sends msgpack. */
type Dynamic = { readonly msgpack: Uint8Array } | undefined;

/** The object of a state or configuration; null if there is none. */
export function objectOf(value: Dynamic): RawObject | null {
  return value === undefined || isNullBytes(value.msgpack) ? null : asObject(unpack(value.msgpack));
}

export function bytesOf(value: Dynamic): Uint8Array {
  return value === undefined || value.msgpack.length === 0 ? NULL_BYTES : value.msgpack;
}

export function dynamic(object: RawObject | null) {
  return { msgpack: object === null ? NULL_BYTES : pack(object) };
}

export function diagnostics(operation: Operation, attributes: Attributes) {
  return operation.reports.map((report) => diagnosticWire(report, attributes));
}

/** @throws Diagnostic */
export function resourceOf(provider: Provider, type: string): Resource<unknown> {
  const resource = Object.hasOwn(provider.resources, type) ? provider.resources[type] : undefined;
  if (!resource)
    throw new Diagnostic({ summary: `The provider ${provider.name} has no resource type ${type}` });
  return resource;
}

/** @throws Diagnostic */
export function dataSourceOf(provider: Provider, type: string): DataSource<unknown> {
  const source = Object.hasOwn(provider.dataSources, type) ? provider.dataSources[type] : undefined;
  if (!source) throw new Diagnostic({ summary: `The provider ${provider.name} has no data source ${type}` });
  return source;
}

/** The context of a resource's handler. Starts the clock if the resource has `timeouts` for what it does. */
export function resourceContext(
  session: Session,
  operation: Operation,
  resource: Resource<unknown>,
  notes: PrivateNotes,
  timed?: { readonly operation: TimeoutOperation; readonly state: RawObject | null },
): ResourceContext<unknown> {
  const timeoutMs = timed && timeoutOf(resource.schema, timed.operation, timed.state);
  if (timed && timeoutMs !== undefined) operation.limit(timed.operation, timeoutMs);
  return { ...operation.context(), client: session.client(), privateState: notes, timeoutMs };
}

function timeoutOf(
  attributes: Attributes,
  operation: TimeoutOperation,
  state: RawObject | null,
): number | undefined {
  for (const [name, attribute] of entriesOf(attributes)) {
    const defaults = attribute.options.timeouts;
    if (!defaults) continue;
    const given = asObject(state?.[name])?.[operation];
    return typeof given === "string" ? parseDurationMs(given) : defaults[operation];
  }
  return undefined;
}
