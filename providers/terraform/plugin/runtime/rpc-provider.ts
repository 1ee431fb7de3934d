import { providerWire } from "../describe/wire-schema";
import { objectToHandler } from "../values/to-handler";
import type { PlanConfig, Attributes } from "../schema";
import { diagnostics, objectOf, type Handler } from "./handlers";
import { checkConfig } from "./validate";

const CAPABILITIES = { planDestroy: true, getProviderSchemaOptional: true, moveResourceState: true };

export const getMetadata: Handler<"GetMetadata"> = (_request, { provider }) => ({
  serverCapabilities: CAPABILITIES,
  resources: Object.keys(provider.resources).map((typeName) => ({ typeName })),
  dataSources: Object.keys(provider.dataSources).map((typeName) => ({ typeName })),
  functions: Object.keys(provider.functions).map((name) => ({ name })),
});

export const getProviderSchema: Handler<"GetProviderSchema"> = (_request, { provider }) => ({
  ...providerWire(provider),
  serverCapabilities: CAPABILITIES,
});

export const getFunctions: Handler<"GetFunctions"> = (_request, { provider }) => ({
  functions: providerWire(provider).functions,
});

export const validateProviderConfig: Handler<"ValidateProviderConfig"> = async (
  request,
  session,
  operation,
) => {
  const { provider } = session;
  const config = objectOf(request.config) ?? {};
  operation.reports.push(...checkConfig(provider.config, config));
  if (!operation.failed && provider.validate) {
    const values = objectToHandler(provider.config, config) as PlanConfig<Attributes>;
    await operation.attempt(() =>
      provider.validate?.(
        { config: values, error: (...about) => operation.error(...about) },
        operation.context(),
      ),
    );
  }
  return { diagnostics: diagnostics(operation, provider.config) };
};

export const configureProvider: Handler<"ConfigureProvider"> = async (request, session, operation) => {
  const { provider } = session;
  const config = objectToHandler(provider.config, objectOf(request.config) ?? {}) as PlanConfig<Attributes>;
  await operation.attempt(async () =>
    session.configure(await provider.configure(config, operation.context())),
  );
  return { diagnostics: diagnostics(operation, provider.config) };
};

export const stopProvider: Handler<"StopProvider"> = (_request, session) => {
  session.stop("Terraform was told to stop");
  return {};
};
