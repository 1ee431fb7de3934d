/**
 * What a push loses when something goes wrong in the middle of it: `npm run build:fast && node bench/image/faults.mjs`.
 *
 *   --fault NAME         only these (may be given more than once)
 *   --json               one object {rows: […]} instead of the table
 *   --rate, --delay, --loss, --corpus, --work   as in main.mjs
 *
 * "Sent again" is what crossed the link more than in a push that nothing happened to; a few MB of it come from compression that
 * goes by how busy the link is.
 */
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { mb } from "./goals.mjs";
import { withDeadline } from "./support/measure.mjs";
import { onStage, prepareStage } from "./support/stage.mjs";
import { arrivedRight, openSite } from "./tools/spillway.mjs";

const OUTAGE_S = 30;
const DEADLINE_S = 600;
/** When it happens: this share of a whole push has crossed the link. */
const AT_SHARE = 0.4;

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));

/** Each is given a push that is under way, and returns the one that ends it. */
const FAULTS = {
  nothing: ({ push }) => push,
  "near-killed": async ({ push, again }) => {
    await push.stop("SIGKILL");
    return again();
  },
  "far-killed": async ({ push, site }) => {
    await site.stop("SIGKILL");
    await site.start();
    return push;
  },
  "far-restarted": async ({ push, site }) => {
    await site.stop("SIGTERM");
    await site.start();
    return push;
  },
  outage: async ({ push, link }) => {
    link.toggleOutage();
    await pause(OUTAGE_S);
    link.toggleOutage();
    return push;
  },
};

const { values } = parseArgs({
  options: {
    fault: { type: "string", multiple: true, default: Object.keys(FAULTS) },
    json: { type: "boolean", default: false },
    rate: { type: "string", default: "100M" },
    delay: { type: "string", default: "25" },
    loss: { type: "string", default: "0" },
    corpus: { type: "string" },
    work: { type: "string", default: tmpdir() },
  },
});

try {
  const unknown = values.fault.find((name) => !(name in FAULTS));
  if (unknown)
    throw new Error(`There is no fault "${unknown}". There is: ${Object.keys(FAULTS).join(", ")}.`);
  const stage = await prepareStage(values);
  const rows = [];
  for (const name of ["nothing", ...values.fault.filter((fault) => fault !== "nothing")]) {
    process.stderr.write(`${name} …\n`);
    rows.push(await suffer(stage, name, rows[0]));
  }
  if (values.json) process.stdout.write(`${JSON.stringify({ rows })}\n`);
  else process.stdout.write(`${rows.map(line).join("\n")}\n`);
  process.exitCode = rows.every(({ verified }) => verified) ? 0 : 1;
} catch (problem) {
  process.stderr.write(`${problem.message}\n`);
  process.exitCode = 2;
}

/** A push of the second version to a site that holds the first, with one fault in it. */
async function suffer(stage, name, undisturbed) {
  const { first, second } = stage.corpus;
  return onStage(stage, name, Number(values.loss), async ({ link, near, far, directory }) => {
    const site = openSite({ far, directory });
    await site.start();
    await site.push(far, first).done;
    await site.stop();
    site.forgetLink();
    await site.start();
    const before = new Set(site.images());
    link.reset();
    const started = performance.now();
    const again = () => site.push(near, second);
    const push = again();
    let problem;
    try {
      if (undisturbed) await Promise.race([carried(link, undisturbed.upBytes * AT_SHARE), push.done]);
      if (undisturbed && site.images().length > before.size) throw new Error("it was over before the fault");
      const last = await FAULTS[name]({ push, again, site, link });
      ({ problem } = await withDeadline(last.done, DEADLINE_S));
    } catch (error) {
      problem = error.message;
    }
    const wallS = Number(((performance.now() - started) / 1_000).toFixed(1));
    const { AtoB } = await link.counters();
    const arrived = site.images().filter((path) => !before.has(path));
    return {
      fault: name,
      upBytes: AtoB.deliveredBytes,
      sentAgainBytes: undisturbed ? AtoB.deliveredBytes - undisturbed.upBytes : 0,
      wallS,
      laterS: undisturbed ? Number((wallS - undisturbed.wallS).toFixed(1)) : 0,
      verified:
        problem === undefined && arrived.length === 1 && (await arrivedRight(second, arrived[0], false)),
      ...(problem === undefined ? {} : { problem }),
    };
  });
}

/** Waits until so much has crossed the link. */
async function carried(link, bytes) {
  while ((await link.counters()).AtoB.deliveredBytes < bytes) await pause(0.05);
}

function line(row) {
  const { fault, upBytes, sentAgainBytes, wallS, laterS, verified, problem } = row;
  const again = fault === "nothing" ? "" : `, ${mb(sentAgainBytes)} MB sent again, ${laterS} s later`;
  const sent = `${mb(upBytes)} MB, ${wallS} s${again}`;
  return `${fault.padEnd(14)} ${verified ? "verified" : "NOT VERIFIED"}  ${sent}${problem ? `: ${problem}` : ""}`;
}
