import type { Socket } from "node:net";
import {
  Server,
  status,
  type handleUnaryCall,
  type ServerCredentials,
  type ServerDuplexStream,
  type ServerWritableStream,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { messageOf } from "../../../../lib/errors";
import { reportsOf } from "../diagnostic";
import { Empty, PROCEDURES, StdioData } from "../protocol/messages";
import type { Handler, ProcedureName } from "./handlers";
import { applyResourceChange, planResourceChange } from "./rpc-change";
import { callFunction, readDataSource } from "./rpc-data";
import * as provider from "./rpc-provider";
import * as resource from "./rpc-resource";
import { Session, type Shared } from "./session";
import { diagnosticWire } from "./wire-diagnostic";

const HANDLERS: { readonly [P in ProcedureName]: Handler<P> } = {
  GetMetadata: provider.getMetadata,
  GetProviderSchema: provider.getProviderSchema,
  ValidateProviderConfig: provider.validateProviderConfig,
  ValidateResourceConfig: resource.validateResourceConfig,
  ValidateDataResourceConfig: resource.validateDataResourceConfig,
  UpgradeResourceState: resource.upgradeResourceState,
  ConfigureProvider: provider.configureProvider,
  ReadResource: resource.readResource,
  PlanResourceChange: planResourceChange,
  ApplyResourceChange: applyResourceChange,
  ImportResourceState: resource.importResourceState,
  MoveResourceState: resource.moveResourceState,
  ReadDataSource: readDataSource,
  GetFunctions: provider.getFunctions,
  CallFunction: callFunction,
  StopProvider: provider.stopProvider,
};

/** A value of 64 MB is no sensible attribute, but the limit of 4 MB that gRPC sets is a cryptic way to say so. */
const MESSAGE_LIMIT_BYTES = 256 * 1024 * 1024;

interface Codec {
  encode(value: unknown): Buffer;
  decode(bytes: Uint8Array): unknown;
}

function method(
  service: string,
  name: string,
  request: Codec,
  response: Codec,
  streams: { in?: boolean; out?: boolean } = {},
) {
  return {
    path: `/${service}/${name}`,
    requestStream: streams.in ?? false,
    responseStream: streams.out ?? false,
    requestSerialize: (value: unknown) => request.encode(value),
    requestDeserialize: (bytes: Buffer) => request.decode(bytes),
    responseSerialize: (value: unknown) => response.encode(value),
    responseDeserialize: (bytes: Buffer) => response.decode(bytes),
  };
}

const PROVIDER_SERVICE: ServiceDefinition = Object.fromEntries(
  Object.entries(PROCEDURES).map(([name, { request, response }]) => [
    name,
    method("tfplugin6.Provider", name, request as Codec, response as Codec),
  ]),
);

/** The services that go-plugin calls on every plugin. Only `Shutdown` does anything; the streams stay open until cancelled. */
const CONTROLLER_SERVICE: ServiceDefinition = {
  Shutdown: method("plugin.GRPCController", "Shutdown", Empty, Empty),
};
const STDIO_SERVICE: ServiceDefinition = {
  StreamStdio: method("plugin.GRPCStdio", "StreamStdio", Empty, StdioData, { out: true }),
};
const BROKER_SERVICE: ServiceDefinition = {
  StartStream: method("plugin.GRPCBroker", "StartStream", Empty, Empty, { in: true, out: true }),
};

export interface Connection {
  readonly session: Session;
  /** Ends it at once. */
  close(): void;
}

/**
 * Serves one connection of Terraform. Each gets a server of its own: that is how the operations and the configuration of one
 * client of a kept process stay apart from another's.
 */
export function serveConnection(
  socket: Socket,
  shared: Shared,
  credentials: ServerCredentials,
  onShutdown: () => void,
): Connection {
  const session = new Session(shared);
  const server = new Server({
    "grpc.max_receive_message_length": MESSAGE_LIMIT_BYTES,
    "grpc.max_send_message_length": MESSAGE_LIMIT_BYTES,
    "grpc.enable_channelz": 0,
  });
  server.addService(PROVIDER_SERVICE, implementation(session));
  server.addService(CONTROLLER_SERVICE, {
    Shutdown: ((_call, respond) => {
      respond(null, {});
      onShutdown();
    }) as handleUnaryCall<unknown, unknown>,
  });
  server.addService(STDIO_SERVICE, {
    StreamStdio: (call: ServerWritableStream<unknown, unknown>) =>
      void call.on("cancelled", () => call.end()),
  });
  server.addService(BROKER_SERVICE, {
    StartStream: (call: ServerDuplexStream<unknown, unknown>) => {
      call.on("data", () => undefined);
      call.on("end", () => call.end());
      call.on("cancelled", () => call.end());
    },
  });
  const injector = server.createConnectionInjector(credentials);
  // A Terraform that was killed resets its connection; "close" follows.
  socket.on("error", () => undefined);
  socket.once("close", () => {
    session.stop("Terraform is gone");
    server.forceShutdown();
  });
  injector.injectConnection(socket);
  return {
    session,
    close: () => {
      session.stop("the provider is shut down");
      server.forceShutdown();
      socket.destroy();
    },
  };
}

function implementation(session: Session): UntypedServiceImplementation {
  return Object.fromEntries(
    Object.keys(HANDLERS).map((name) => [
      name,
      unary(name, HANDLERS[name as ProcedureName] as Handler<ProcedureName>, session),
    ]),
  );
}

function unary(
  name: string,
  handler: Handler<ProcedureName>,
  session: Session,
): handleUnaryCall<unknown, unknown> {
  return (call, respond) => {
    const request = call.request as Parameters<Handler<ProcedureName>>[0];
    const operation = session.begin(`${name} ${subjectOf(request)}`.trim());
    let answered = false;
    // grpc-js also says "cancelled" after every call that ended well.
    call.on("cancelled", () => {
      if (!answered) operation.stop("Terraform is gone");
    });
    void (async () => {
      try {
        const response = await handler(request, session, operation);
        answered = true;
        respond(null, response);
      } catch (thrown) {
        answered = true;
        respondToDefect(name, thrown, respond);
      } finally {
        session.end(operation);
      }
    })();
  };
}

/** Something went wrong outside of any handler, such as an unknown type: still a diagnostic if the answer can carry one. */
function respondToDefect(
  name: string,
  thrown: unknown,
  respond: (error: object | null, value?: unknown) => void,
): void {
  if (name === "CallFunction" || name === "StopProvider") {
    respond({ code: status.INTERNAL, details: `${name}: ${messageOf(thrown)}` });
    return;
  }
  respond(null, { diagnostics: reportsOf(thrown).map((report) => diagnosticWire(report, {})) });
}

function subjectOf(request: object): string {
  const { typeName, targetTypeName, name } = request as {
    typeName?: string;
    targetTypeName?: string;
    name?: string;
  };
  return typeName ?? targetTypeName ?? name ?? "";
}
