/**
 * The peer of the burst bench: bursting by a script, HAProxy's socket and PowerDNS's API, on premises with a root shell in the cloud
 * (`ip netns exec` stands for ssh). burst-script.mjs PLAN prepare|watch
 */
import { spawn } from "node:child_process";
import { openSync, readFileSync } from "node:fs";
import { connect } from "node:net";

const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { sites, powerdns } = plan;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

if (process.argv[3] === "prepare") await prepare();
else await watch();

async function prepare() {
  startMembers("onprem");
  await membersUp("onprem");
  await setWeights({ onprem: 100 });
  process.exit(0);
}

async function watch() {
  for (let above = 0; above < 2; await sleep(plan.lookEveryMs)) {
    above = (await requestRate()) > plan.burstAboveRps ? above + 1 : 0;
  }
  const pids = startMembers("cloud");
  for (const server of ["m1", "m2"]) await haproxy("cloud", `set server members/${server} state ready`);
  if (plan.careful) await membersUp("cloud");
  await setWeights({ onprem: 50, cloud: 50 });

  for (let lowSince; ; await sleep(plan.lookEveryMs)) {
    if ((await requestRate()) >= plan.homeBelowRps) lowSince = undefined;
    else lowSince ??= Date.now();
    if (Date.now() - lowSince >= plan.homeAfterMs) break;
  }
  await setWeights({ onprem: 100 });
  if (plan.careful) await sleep(plan.ttlSeconds * 1_000 + 500);
  for (const server of ["m1", "m2"]) await haproxy("cloud", `set server members/${server} state maint`);
  for (const pid of pids) process.kill(pid, "SIGTERM");
}

function startMembers(site) {
  const { namespace, address, log } = sites[site];
  const out = openSync(log, "a");
  return plan.memberPorts.map((port) => {
    const child = spawn("ip", ["netns", "exec", namespace, ...plan.app], {
      env: { ...process.env, HOST: address, PORT: String(port), SPILLWAY_SITE: site },
      stdio: ["ignore", out, out],
      detached: true,
    });
    child.unref();
    return child.pid;
  });
}

async function membersUp(site) {
  while ((await stats(site)).filter((row) => /^m\d$/.test(row.svname) && row.status === "UP").length < 2)
    await sleep(100);
}

async function requestRate() {
  const both = await Promise.all(Object.keys(sites).map(stats));
  return both.flat().reduce((sum, row) => sum + (row.svname === "FRONTEND" ? Number(row.req_rate) : 0), 0);
}

async function stats(site) {
  const [head, ...lines] = (await haproxy(site, "show stat")).trim().replace(/^# /, "").split("\n");
  const names = head.split(",");
  return lines.map((line) => Object.fromEntries(line.split(",").map((value, at) => [names[at], value])));
}

function haproxy(site, command) {
  return new Promise((resolve, reject) => {
    let said = "";
    const socket = connect(sites[site].socket, () => socket.write(`${command}\n`));
    socket.on("data", (chunk) => (said += chunk));
    socket.on("end", () => resolve(said));
    socket.on("error", reject);
  });
}

async function setWeights(weights) {
  const answers = Object.entries(weights).map(([site, weight]) => `{${weight}, '${sites[site].address}'}`);
  const content = `A "pickwrandom({${answers.join(", ")}})"`;
  const answer = await fetch(`${powerdns.api}/api/v1/servers/localhost/zones/${powerdns.zone}.`, {
    method: "PATCH",
    headers: { "x-api-key": powerdns.key },
    body: JSON.stringify({
      rrsets: [
        {
          name: `${plan.recordName}.`,
          type: "LUA",
          ttl: plan.ttlSeconds,
          changetype: "REPLACE",
          records: [{ content, disabled: false }],
        },
      ],
    }),
  });
  if (!answer.ok) throw new Error(await answer.text());
}
