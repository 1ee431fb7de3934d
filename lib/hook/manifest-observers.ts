import type { ProblemReport } from "../errors";
import { asObject, type JsonValue } from "../review/json";
import type { BurstObservers } from "./manifest";
import { SIDE_FIGURES } from "./side-observer";

/** What is wrong with a manifest's `observers`. Pure. */
export function observerProblems(value: JsonValue | undefined, place: string): readonly ProblemReport[] {
  if (value === undefined) return [];
  const problems: ProblemReport[] = [];
  const add = (path: readonly string[], must: string, got: JsonValue | undefined) =>
    problems.push({
      place,
      problem: `\`${path.join(".")}\` must be ${must}, got ${JSON.stringify(got) ?? "nothing"}`,
      mend: "See docs/prometheus.md for what the hook's observers may be.",
      attribute: path,
    });
  const isText = (text: JsonValue | undefined) => typeof text === "string" && text.trim() !== "";
  const observers = asObject(value);
  if (!observers) add(["observers"], "an object", value);
  for (const [side, given] of Object.entries(observers ?? {})) {
    const path = ["observers", side];
    const object = asObject(given);
    if (!["prometheus", "onPrem", "cloud"].includes(side)) add(path, "prometheus, onPrem or cloud", given);
    else if (!object) add(path, "an object", given);
    else if (side === "prometheus") {
      if (!isText(object.endpoint)) add([...path, "endpoint"], "a URL", object.endpoint);
    } else {
      for (const [name, each] of Object.entries(object)) {
        if (name === "haproxy") {
          for (const key of ["socket", "backend"]) {
            if (!isText(asObject(each)?.[key])) add([...path, name, key], "a text", asObject(each)?.[key]);
          }
        } else if (!SIDE_FIGURES.some((figure) => figure === name)) {
          add([...path, name], `one of ${SIDE_FIGURES.join(", ")} or haproxy`, each);
        } else if (!isText(each)) add([...path, name], "PromQL", each);
        else if (!asObject(observers?.prometheus)) {
          add(["observers", "prometheus"], "given where there are queries", observers?.prometheus);
        }
      }
    }
  }
  return problems;
}

/** The same with absolute paths. */
export function withAbsoluteObservers(
  observers: BurstObservers,
  absolute: (path: string) => string,
): BurstObservers {
  const { prometheus } = observers;
  if (!prometheus) return observers;
  const files = (["tokenFile", "passwordFile", "caFile"] as const).flatMap((name) => {
    const file = prometheus[name];
    return file === undefined ? [] : [[name, absolute(file)] as const];
  });
  return { ...observers, prometheus: { ...prometheus, ...Object.fromEntries(files) } };
}
