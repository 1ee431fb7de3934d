/**
 * The messages of Terraform's plugin protocol 6, as far as a provider needs them. Names and numbers are facts of the wire; fields
 * that this framework neither reads nor writes are left out and skipped when they come.
 */
import {
  bool,
  bytes,
  int,
  map,
  message,
  MessageType,
  messageType,
  presentInt,
  presentText,
  repeated,
  text,
} from "./codec";

export const DynamicValue = messageType({ msgpack: bytes(1), json: bytes(2) });
export const RawState = messageType({ json: bytes(1) });

/** Exactly one of the three is there. */
export const PathStep = messageType({
  attributeName: presentText(1),
  elementKeyString: presentText(2),
  elementKeyInt: presentInt(3),
});
export const AttributePath = messageType({ steps: repeated(1, () => PathStep) });

export const SEVERITY = { error: 1, warning: 2 } as const;
export const Diagnostic = messageType({
  severity: int(1),
  summary: text(2),
  detail: text(3),
  attribute: message(4, () => AttributePath),
});

export const MARKDOWN = 1;
export const NESTING = { single: 1, list: 2, set: 3, map: 4 } as const;

/** An attribute as the wire describes it. Has a type or, if it has attributes of its own, a nested type. */
export interface AttributeWire {
  readonly name: string;
  readonly type?: Uint8Array;
  readonly nestedType?: NestedWire;
  readonly description: string;
  readonly descriptionKind: number;
  readonly required: boolean;
  readonly optional: boolean;
  readonly computed: boolean;
  readonly sensitive: boolean;
  readonly deprecated: boolean;
  readonly writeOnly: boolean;
}
export interface NestedWire {
  readonly attributes: readonly AttributeWire[];
  readonly nesting: number;
}

export const NestedObject = new MessageType<NestedWire>({
  attributes: repeated(1, (): MessageType<AttributeWire> => SchemaAttribute),
  nesting: int(3),
});
export const SchemaAttribute = new MessageType<AttributeWire>({
  name: text(1),
  type: bytes(2),
  description: text(3),
  required: bool(4),
  optional: bool(5),
  computed: bool(6),
  sensitive: bool(7),
  descriptionKind: int(8),
  deprecated: bool(9),
  nestedType: message(10, () => NestedObject),
  writeOnly: bool(11),
});

export const Block = messageType({
  version: int(1),
  attributes: repeated(2, () => SchemaAttribute),
  description: text(4),
  descriptionKind: int(5),
  deprecated: bool(6),
});
export const Schema = messageType({ version: int(1), block: message(2, () => Block) });

export const Parameter = messageType({
  name: text(1),
  type: bytes(2),
  allowNullValue: bool(3),
  allowUnknownValues: bool(4),
  description: text(5),
  descriptionKind: int(6),
});
export const Return = messageType({ type: bytes(1) });
export const FunctionSignature = messageType({
  parameters: repeated(1, () => Parameter),
  return: message(3, () => Return),
  summary: text(4),
  description: text(5),
  descriptionKind: int(6),
});
export const FunctionError = messageType({ text: text(1), functionArgument: presentInt(2) });

export const ServerCapabilities = messageType({
  planDestroy: bool(1),
  getProviderSchemaOptional: bool(2),
  moveResourceState: bool(3),
});

const Empty = messageType({});
const diagnostics = (number: number) => repeated(number, () => Diagnostic);
const value = (number: number) => message(number, () => DynamicValue);
const TypeName = messageType({ typeName: text(1) });
const FunctionName = messageType({ name: text(1) });

/** One remote procedure: what it takes and what it answers. */
export interface Procedure<Q, R> {
  readonly request: Q;
  readonly response: R;
}
function procedure<Q, R>(request: Q, response: R): Procedure<Q, R> {
  return { request, response };
}

export const ImportedResource = messageType({ typeName: text(1), state: value(2), private: bytes(3) });

const typedConfig = messageType({ typeName: text(1), config: value(2) });

/** Every procedure of the service `tfplugin6.Provider` that this framework answers. */
export const PROCEDURES = {
  GetMetadata: procedure(
    Empty,
    messageType({
      serverCapabilities: message(1, () => ServerCapabilities),
      diagnostics: diagnostics(2),
      dataSources: repeated(3, () => TypeName),
      resources: repeated(4, () => TypeName),
      functions: repeated(5, () => FunctionName),
    }),
  ),
  GetProviderSchema: procedure(
    Empty,
    messageType({
      provider: message(1, () => Schema),
      resourceSchemas: map(2, () => Schema),
      dataSourceSchemas: map(3, () => Schema),
      diagnostics: diagnostics(4),
      serverCapabilities: message(6, () => ServerCapabilities),
      functions: map(7, () => FunctionSignature),
    }),
  ),
  ValidateProviderConfig: procedure(
    messageType({ config: value(1) }),
    messageType({ diagnostics: diagnostics(2) }),
  ),
  ValidateResourceConfig: procedure(typedConfig, messageType({ diagnostics: diagnostics(1) })),
  ValidateDataResourceConfig: procedure(typedConfig, messageType({ diagnostics: diagnostics(1) })),
  UpgradeResourceState: procedure(
    messageType({ typeName: text(1), version: int(2), rawState: message(3, () => RawState) }),
    messageType({ upgradedState: value(1), diagnostics: diagnostics(2) }),
  ),
  ConfigureProvider: procedure(
    messageType({ terraformVersion: text(1), config: value(2) }),
    messageType({ diagnostics: diagnostics(1) }),
  ),
  ReadResource: procedure(
    messageType({ typeName: text(1), currentState: value(2), private: bytes(3) }),
    messageType({ newState: value(1), diagnostics: diagnostics(2), private: bytes(3) }),
  ),
  PlanResourceChange: procedure(
    messageType({
      typeName: text(1),
      priorState: value(2),
      proposedNewState: value(3),
      config: value(4),
      priorPrivate: bytes(5),
    }),
    messageType({
      plannedState: value(1),
      requiresReplace: repeated(2, () => AttributePath),
      plannedPrivate: bytes(3),
      diagnostics: diagnostics(4),
    }),
  ),
  ApplyResourceChange: procedure(
    messageType({
      typeName: text(1),
      priorState: value(2),
      plannedState: value(3),
      config: value(4),
      plannedPrivate: bytes(5),
    }),
    messageType({ newState: value(1), private: bytes(2), diagnostics: diagnostics(3) }),
  ),
  ImportResourceState: procedure(
    messageType({ typeName: text(1), id: text(2) }),
    messageType({ importedResources: repeated(1, () => ImportedResource), diagnostics: diagnostics(2) }),
  ),
  MoveResourceState: procedure(
    messageType({
      sourceProviderAddress: text(1),
      sourceTypeName: text(2),
      sourceSchemaVersion: int(3),
      sourceState: message(4, () => RawState),
      targetTypeName: text(5),
    }),
    messageType({ targetState: value(1), diagnostics: diagnostics(2), targetPrivate: bytes(3) }),
  ),
  ReadDataSource: procedure(typedConfig, messageType({ state: value(1), diagnostics: diagnostics(2) })),
  GetFunctions: procedure(
    Empty,
    messageType({ functions: map(1, () => FunctionSignature), diagnostics: diagnostics(2) }),
  ),
  CallFunction: procedure(
    messageType({ name: text(1), arguments: repeated(2, () => DynamicValue) }),
    messageType({ result: value(1), error: message(2, () => FunctionError) }),
  ),
  StopProvider: procedure(Empty, messageType({ error: text(1) })),
} as const;

/** The services that go-plugin itself calls beside the provider's. Their messages are not read. */
export const StdioData = messageType({ channel: int(1), data: bytes(2) });
export { Empty };
export type { DraftOf, MessageOf } from "./codec";
