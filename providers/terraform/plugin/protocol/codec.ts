import { Reader, Writer } from "protobufjs/minimal";

/**
 * Protocol buffers by a table of fields: enough for the plugin protocol, and nothing to generate or to parse when a provider
 * starts. A message that was read has all its fields; one to be written may leave any out.
 *
 * @typeParam T the field as read
 * @typeParam D the field as written
 */
export interface Field<T, D = T> {
  readonly number: number;
  /** Writes the value with its tag. Never called with undefined. */
  write(writer: Writer, value: unknown): void;
  /** Reads one value and joins it with what was read before. */
  read(reader: Reader, before: unknown): unknown;
  /** What it is when the wire has none. */
  empty(): unknown;
  /** Only for the type system. */
  readonly types?: { readonly read: T; readonly written: D };
}

interface Fields {
  readonly [name: string]: Field<unknown>;
}
type AsRead<F> = { [N in keyof F]: F[N] extends Field<infer T, infer _D> ? T : never };
type AsWritten<F> = { readonly [N in keyof F]?: F[N] extends Field<infer _T, infer D> ? D : never };

/** The object that a message type reads. */
export type MessageOf<M> = M extends MessageType<infer T, infer _D> ? T : never;
/** The object that a message type writes. */
export type DraftOf<M> = M extends MessageType<infer _T, infer D> ? D : never;

/** Encodes and decodes messages by a table of fields. */
export class MessageType<T, D = T> {
  private readonly fields: readonly (readonly [string, Field<unknown>])[];
  private readonly byNumber = new Map<number, readonly [string, Field<unknown>]>();
  /** Only for the type system. */
  declare readonly types: { readonly read: T; readonly written: D };

  constructor(fields: Fields) {
    this.fields = Object.entries(fields);
    for (const entry of this.fields) this.byNumber.set(entry[1].number, entry);
  }

  encode(draft: D): Buffer {
    const writer = Writer.create();
    this.write(writer, draft);
    return writer.finish() as Buffer;
  }

  /** @throws RangeError if the bytes end too early */
  decode(bytes: Uint8Array): T {
    const reader = Reader.create(bytes);
    return this.read(reader, reader.len);
  }

  /** @internal */
  write(writer: Writer, draft: D): void {
    const values = draft as Record<string, unknown>;
    for (const [name, field] of this.fields) {
      const value = values[name];
      if (value !== undefined) field.write(writer, value);
    }
  }

  /** @internal */
  read(reader: Reader, end: number): T {
    const message: Record<string, unknown> = {};
    for (const [name, field] of this.fields) message[name] = field.empty();
    while (reader.pos < end) {
      const tag = reader.uint32();
      const entry = this.byNumber.get(tag >>> 3);
      // A newer Terraform sends fields that this table does not have.
      if (entry) message[entry[0]] = entry[1].read(reader, message[entry[0]]);
      else reader.skipType(tag & 7);
    }
    if (reader.pos > end) throw new RangeError("the message is longer than its frame");
    return message as T;
  }
}

/** A message type with the types that its table says. */
export function messageType<const F extends Fields>(fields: F): MessageType<AsRead<F>, AsWritten<F>> {
  return new MessageType(fields);
}

const VARINT = 0;
const LENGTH = 2;
const tagged = (writer: Writer, number: number, wire: number): Writer => writer.uint32((number << 3) | wire);

/** Text. Empty text is not written. */
export function text(number: number): Field<string> {
  return {
    number,
    write: (writer, value) => void (value !== "" && tagged(writer, number, LENGTH).string(value as string)),
    read: (reader) => reader.string(),
    empty: () => "",
  };
}

const NO_BYTES = new Uint8Array(0);

export function bytes(number: number): Field<Uint8Array> {
  return {
    number,
    write: (writer, value) => {
      if ((value as Uint8Array).length > 0) tagged(writer, number, LENGTH).bytes(value as Uint8Array);
    },
    read: (reader) => reader.bytes(),
    empty: () => NO_BYTES,
  };
}

export function bool(number: number): Field<boolean> {
  return {
    number,
    write: (writer, value) => void (value === true && tagged(writer, number, VARINT).bool(true)),
    read: (reader) => reader.bool(),
    empty: () => false,
  };
}

/** A whole number that a double holds: versions, enumerations, indices. */
export function int(number: number): Field<number> {
  return {
    number,
    write: (writer, value) => void (value !== 0 && tagged(writer, number, VARINT).int64(value as number)),
    read: (reader) => Number(reader.int64()),
    empty: () => 0,
  };
}

/** Text of which it matters whether it is there: one of several, or optional. */
export function presentText(number: number): Field<string | undefined> {
  return {
    number,
    write: (writer, value) => void tagged(writer, number, LENGTH).string(value as string),
    read: (reader) => reader.string(),
    empty: () => undefined,
  };
}

/** A whole number of which it matters whether it is there. */
export function presentInt(number: number): Field<number | undefined> {
  return {
    number,
    write: (writer, value) => void tagged(writer, number, VARINT).int64(value as number),
    read: (reader) => Number(reader.int64()),
    empty: () => undefined,
  };
}

function writeMessage<T, D>(writer: Writer, number: number, type: MessageType<T, D>, value: D): void {
  tagged(writer, number, LENGTH).fork();
  type.write(writer, value);
  writer.ldelim();
}

function readMessage<T, D>(reader: Reader, type: MessageType<T, D>): T {
  const length = reader.uint32();
  return type.read(reader, reader.pos + length);
}

/** A message inside a message. A function, so that types may contain each other. */
export function message<T, D>(
  number: number,
  type: () => MessageType<T, D>,
): Field<T | undefined, D | undefined> {
  return {
    number,
    write: (writer, value) => writeMessage(writer, number, type(), value as D),
    read: (reader) => readMessage(reader, type()),
    empty: () => undefined,
  };
}

export function repeated<T, D>(number: number, type: () => MessageType<T, D>): Field<T[], readonly D[]> {
  return {
    number,
    write: (writer, values) => {
      for (const value of values as D[]) writeMessage(writer, number, type(), value);
    },
    read: (reader, before) => {
      (before as T[]).push(readMessage(reader, type()));
      return before;
    },
    empty: () => [],
  };
}

/** A map from text to messages: on the wire, a list of pairs. */
export function map<T, D>(
  number: number,
  type: () => MessageType<T, D>,
): Field<Record<string, T>, Readonly<Record<string, D>>> {
  const pair = messageType({ key: text(1), value: message(2, type) });
  return {
    number,
    write: (writer, values) => {
      for (const [key, value] of Object.entries(values as Record<string, D>)) {
        writeMessage(writer, number, pair, { key, value });
      }
    },
    read: (reader, before) => {
      const { key, value } = readMessage(reader, pair);
      (before as Record<string, T>)[key] = value ?? type().decode(NO_BYTES);
      return before;
    },
    empty: () => ({}),
  };
}
