import { QueryError } from "../../../lib/observers";
import { Diagnostic, isUnknown, type HandlerContext, type Unknown } from "../plugin";
import type { Client } from "./client";

/** While planning, a Prometheus that says nothing is not waited for. */
const PLAN_TIMEOUT_MS = 3_000;

/**
 * While planning: are these queries PromQL, and is there somebody to ask? Silence is a warning.
 * @throws Diagnostic for a mistake in PromQL, and when no Prometheus is configured
 */
export async function checkQueries(
  client: Client,
  attribute: string,
  queries: Readonly<Record<string, string | Unknown>> | Unknown | null,
  ctx: HandlerContext,
): Promise<void> {
  if (queries === null || isUnknown(queries)) return;
  const observer = client.queryObserver(queries, attribute);
  if (!observer) return;
  for (const [name, query] of Object.entries(queries)) {
    if (isUnknown(query)) continue;
    try {
      await observer.ask(query, { signal: ctx.signal, timeoutMs: PLAN_TIMEOUT_MS });
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      const { place, problem, mend } = error.report;
      const summary = problem.charAt(0).toUpperCase() + problem.slice(1);
      const path = [attribute, name];
      if (error.kind === "query") throw new Diagnostic({ summary, detail: `At ${place}. ${mend}`, path });
      ctx.warn(summary, {
        detail: `So \`${attribute}\` "${name}" is not known to work. At ${place}. ${mend}`,
        path,
      });
      // The next one would wait for the same silence.
      if (error.kind === "silence") return;
    }
  }
}
