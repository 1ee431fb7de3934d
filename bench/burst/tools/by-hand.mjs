import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as COURSE from "../course.mjs";

const SCRIPT = fileURLToPath(new URL("by-hand/burst-script.mjs", import.meta.url));
const APP = fileURLToPath(new URL("../app/server.cjs", import.meta.url));
const MEMBER_PORTS = [9001, 9002];

/** A script as people write it: start the members, shift the weights, and at the end the reverse. */
export const byHand = tool("script", "by hand, naive order");
/** The same by a careful author: wait until the members are up; at the end wait for the TTL, then take them down. */
export const byHandCareful = tool("script-careful", "by hand, careful");

function tool(name, title) {
  return {
    name,
    title,
    async prepare({ lab, directory, benchCase, recordName }) {
      const site = (place) => {
        const socket = join(directory, `${place}.sock`);
        const config = join(directory, `${place}.cfg`);
        writeFileSync(config, haproxyConfig(place, lab, socket, benchCase));
        const log = join(directory, `${place}.log`);
        lab.spawn(place, ["haproxy", "-db", "-f", config], { log });
        return { namespace: lab.namespaces[place], address: lab.site(place).address, socket, log };
      };
      mkdirSync(directory, { recursive: true });
      const plan = {
        careful: name === "script-careful",
        sites: { onprem: site("onprem"), cloud: site("cloud") },
        app: [process.execPath, APP],
        memberPorts: MEMBER_PORTS,
        powerdns: {
          api: lab.powerdns.api,
          key: readFileSync(lab.powerdns.keyFile, "utf8").trim(),
          zone: lab.zone,
        },
        recordName,
        ttlSeconds: COURSE.RECORD_TTL_SECONDS,
        burstAboveRps: COURSE.BURST_ABOVE_RPS,
        homeBelowRps: COURSE.HOME_BELOW_RPS,
        homeAfterMs: COURSE.HOME_AFTER_MS,
        lookEveryMs: COURSE.LOOK_EVERY_MS,
      };
      const planFile = join(directory, "plan.json");
      writeFileSync(planFile, JSON.stringify(plan));
      const run = async (step) => {
        const done = await lab.run("onprem", [process.execPath, SCRIPT, planFile, step], {
          timeoutMs: 20_000,
        });
        if (done.code !== 0) throw new Error(`the script's ${step} failed: ${done.stderr}`);
      };
      await bothListen(plan.sites);
      await run("prepare");
      let ended;
      return {
        begin() {
          const child = lab.spawn("onprem", [process.execPath, SCRIPT, planFile, "watch"], {
            log: join(directory, "script.log"),
          });
          ended = new Promise((resolve) => child.once("exit", resolve));
        },
        /** Settles when everybody is home, by what the tool knows. */
        async home() {
          const code = await ended;
          if (code !== 0)
            throw new Error(
              `the script ended with ${code}: ${readFileSync(join(directory, "script.log"), "utf8")}`,
            );
        },
        stop: async () => undefined,
      };
    },
  };
}

async function bothListen(sites) {
  const missing = () => Object.values(sites).find(({ socket }) => !existsSync(socket));
  for (
    const deadline = Date.now() + 10_000;
    missing();
    await new Promise((resolve) => setTimeout(resolve, 50))
  ) {
    if (Date.now() > deadline)
      throw new Error(`HAProxy does not start: ${readFileSync(missing().log, "utf8")}`);
  }
}

function haproxyConfig(place, lab, socket, { liveMessagesPerSecond }) {
  const address = lab.site(place).address;
  // A WebSocket takes a place for as long as it is open: with them the members queue for themselves.
  const limit = liveMessagesPerSecond > 0 ? "" : " maxconn 4";
  const disabled = place === "cloud" ? " disabled" : "";
  const servers = MEMBER_PORTS.map(
    (port, at) =>
      `    server m${at + 1} ${address}:${port} check inter 500ms rise 2 fall 3 cookie m${at + 1}${limit}${disabled}`,
  );
  return `global
    stats socket ${socket} mode 600 level admin
    maxconn 4000
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout queue 5s
    timeout http-keep-alive 10s
    timeout tunnel 1h
    option redispatch
frontend shop
    bind ${address}:${lab.port}
    default_backend members
backend members
    balance leastconn
    option httpchk GET /healthz
    cookie SRV insert indirect nocache
${servers.join("\n")}
`;
}
