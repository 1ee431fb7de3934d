import { AgentError } from "./problems";

/** One request, as a handler sees it. */
export interface Request {
  /** The named parts of the path, decoded. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The body of a route that takes JSON, parsed. */
  readonly json: unknown;
  /** The body of a route that takes bytes; its memory is used again once the request is answered. */
  readonly bytes: Uint8Array;
  /** Fires when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** What a handler answers: a status, and a body that is sent as JSON, or a file that is sent as it is. */
export interface Answer {
  readonly status: 200 | 202 | 204;
  readonly body?: unknown;
  /** Path of a file that is the answer. */
  readonly file?: string;
  /** Text that is the answer, and its content type. */
  readonly text?: { readonly type: string; readonly body: string };
}

/** One row of the API. */
export interface Route {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** As in OpenAPI: `/v1/pools/{name}`. */
  readonly path: string;
  /** What it takes as a body. */
  readonly takes: "nothing" | "json" | { readonly maxBytes: number };
  /** The part of the path that names who shares the room for bodies with others. @default all that name none are one */
  readonly party?: string;
  /** True for what anyone may ask without a token. */
  readonly open?: boolean;
  /** What a good answer is. @default "json" */
  readonly answers?: "json" | "bytes" | "text";
  readonly handle: (request: Request) => Promise<Answer> | Answer;
}

export interface Match {
  readonly route: Route;
  readonly path: Readonly<Record<string, string>>;
}

/** Finds the route of a request. */
export class Router {
  private readonly patterns: readonly { readonly route: Route; readonly parts: readonly string[] }[];

  constructor(readonly routes: readonly Route[]) {
    this.patterns = routes.map((route) => ({ route, parts: route.path.split("/") }));
  }

  /** @throws AgentError 404 for an unknown path, 405 for a method that it does not take */
  find(method: string, pathname: string): Match {
    const parts = pathname.split("/").map(decode);
    const here = this.patterns.flatMap(({ route, parts: pattern }) => {
      const path = matched(pattern, parts);
      return path ? [{ route, path }] : [];
    });
    const found = here.find(({ route }) => route.method === method);
    if (found) return found;
    const place = pathname.length > 200 ? `${pathname.slice(0, 200)}…` : pathname;
    if (here.length === 0) {
      throw new AgentError("not-found", {
        place,
        problem: "the agent has nothing at this path",
        mend: "See lib/site/openapi.yaml for what there is; the version is in the path (/v1/…).",
      });
    }
    const methods = here.map(({ route }) => route.method).join(", ");
    throw new AgentError(
      "not-found",
      { place, problem: `this path does not take ${method}`, mend: `It takes ${methods}.` },
      { status: 405 },
    );
  }
}

function matched(pattern: readonly string[], parts: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== parts.length) return undefined;
  const path: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    if (part.startsWith("{")) {
      if (parts[index] === "") return undefined;
      path[part.slice(1, -1)] = parts[index];
    } else if (part !== parts[index]) return undefined;
  }
  return path;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new AgentError("invalid", {
      place: "path",
      problem: `\`${part.slice(0, 100)}\` is not percent-encoded as it should be`,
      mend: "Encode the names in the path.",
    });
  }
}
