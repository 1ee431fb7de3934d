import { layOutLab } from "./support/lab.mjs";

/** How soon a changed record is answered: from the beginning of the driver's put to the first changed answer, as the house's own test has it. */
const FLIPS = 300;

export async function flips() {
  const lab = await layOutLab();
  try {
    const script = new URL("support/flip-script.mjs", import.meta.url).pathname;
    const { host, port } = lab.nameServer;
    const argv = [
      process.execPath,
      script,
      lab.powerdns.api,
      lab.powerdns.keyFile,
      lab.zone,
      host,
      `${port}`,
      `${FLIPS}`,
    ];
    const done = await lab.run("onprem", argv, { timeoutMs: 60_000 });
    if (done.code !== 0) throw new Error(`the flips failed: ${done.stderr}`);
    const took = JSON.parse(done.stdout).sort((one, other) => one - other);
    const at = (share) => Number(took[Math.ceil(share * took.length) - 1].toFixed(1));
    return { flips: took.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
  } finally {
    await lab.close();
  }
}
