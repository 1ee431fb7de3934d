import { runHook, type HookEvent } from "../../../lib/hook";
import { makeProject, MANIFEST, type Project } from "./support/stack";
import { Events, terraform, World } from "./support/world";

let project: Project;
let world: World;
let events: Events;
let controller: AbortController;
let running: Promise<void>;

/** A burst of five members in force, for a demand of 600 rps. */
beforeEach(async () => {
  project = makeProject();
  terraform(project.directories.stack, "apply", "-auto-approve", `-var-file=${project.parametersFile}`);
  world = new World();
  world.demandRps = 600;
  events = new Events();
  controller = new AbortController();
  running = runHook({
    manifest: MANIFEST,
    directories: project.directories,
    mode: "apply",
    observe: world.observe,
    signal: controller.signal,
    onEvent: events.push,
    verifyTimeoutMs: 100,
    backOff: { firstMs: 100, longestMs: 200 },
  });
  await events.until((event) => event.kind === "decided" && event.decision.phase === "burst");
}, 30_000);

afterEach(async () => {
  controller.abort();
  await running;
  project.remove();
});

/** What was applied since, one after another. */
function flips(after: number): object[] {
  return events.all
    .slice(after)
    .filter((event): event is Extract<HookEvent, { kind: "flipped" }> => event.kind === "flipped")
    .map(({ parameters: { burst, cloud_members, weights } }) => ({ burst, cloud_members, weights }));
}

test("fewer members are two applies: the weights, then the members", async () => {
  const after = events.all.length;
  world.demandRps = 350;
  await events.until(
    (event) => event.kind === "flipped" && event.parameters.cloud_members < 5,
    15_000,
    after,
  );
  const [first, second] = flips(after);
  expect(first).toEqual({ burst: true, cloud_members: 5, weights: { cloud: 20, onprem: 80 } });
  expect(second).toEqual({ burst: true, cloud_members: 1, weights: { cloud: 20, onprem: 80 } });
  expect(events.of("refused")).toEqual([]);
}, 30_000);

test("a cloud that fails leaves the answers, nothing of it is taken down, and it comes back", async () => {
  const out = { burst: true, cloud_members: 5, weights: { cloud: 56, onprem: 44 } };
  const after = events.all.length;
  world.cloudUp = 0;
  await events.until((event) => event.kind === "flipped", 15_000, after);
  const then = events.all.length;
  await events.until((event) => event.kind === "applied", 15_000, then);
  world.cloudUp = 8;
  await events.until((event) => event.kind === "flipped", 15_000, then);
  expect(flips(after)).toEqual([{ ...out, weights: { onprem: 100 } }, out]);
  expect(events.of("refused")).toEqual([]);
}, 30_000);
