import { formatPath } from "../diagnostic";
import { messageOf } from "../../../../lib/errors";
import { ArgumentError } from "../define";
import type { Attributes, Config } from "../schema";
import { fromHandler } from "../values/from-handler";
import { NULL_BYTES, pack, unpack } from "../values/msgpack";
import { entriesOf } from "../values/raw";
import { toHandler, objectToHandler } from "../values/to-handler";
import { dataSourceOf, diagnostics, objectOf, type Handler } from "./handlers";
import { finishedState } from "./state";
import { checkValue } from "./validate";

export const readDataSource: Handler<"ReadDataSource"> = async (request, session, operation) => {
  const source = dataSourceOf(session.provider, request.typeName);
  const { schema } = source;
  const config = objectOf(request.config) ?? {};
  const state = await operation.attempt(async () => {
    const values = objectToHandler(schema, config) as Config<Attributes>;
    const found = await source.read({ config: values }, { ...operation.context(), client: session.client() });
    return finishedState(operation.name, schema, found, [config], true);
  });
  return {
    state: { msgpack: state ? pack(state) : NULL_BYTES },
    diagnostics: diagnostics(operation, schema),
  };
};

export const callFunction: Handler<"CallFunction"> = async (request, session, operation) => {
  const { provider } = session;
  const fn = Object.hasOwn(provider.functions, request.name) ? provider.functions[request.name] : undefined;
  if (!fn) return { error: { text: `the provider ${provider.name} has no function ${request.name}` } };
  const parameters = entriesOf(fn.parameters);
  const args: Record<string, unknown> = {};
  for (const [index, [name, attribute]] of parameters.entries()) {
    const raw = unpack(request.arguments[index]?.msgpack ?? NULL_BYTES);
    const report = checkValue(attribute, raw, [name]).find(({ severity }) => severity !== "warning");
    if (report) return { error: { text: `${report.summary}.`, functionArgument: index } };
    args[name] = toHandler(attribute, raw);
  }
  try {
    const result = await fn.call(args as Config<Attributes>, operation.context());
    return { result: { msgpack: pack(fromHandler(fn.returns, result, [], ["result"])) } };
  } catch (thrown) {
    const at =
      thrown instanceof ArgumentError ? parameters.findIndex(([name]) => name === thrown.parameter) : -1;
    const text = at < 0 ? messageOf(thrown) : `${formatPath([parameters[at]![0]])}: ${messageOf(thrown)}`;
    return { error: { text, functionArgument: at < 0 ? undefined : at } };
  }
};
