import { existsSync } from "node:fs";
import {
  congestionControl,
  congestionControlMeans,
  lossBetween,
  parseTcpCounters,
  readTcpCounters,
} from "../../../../lib/image/bandwidth";

const SNMP = `Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens InSegs OutSegs RetransSegs InErrs
Tcp: 1 200 120000 -1 1472607 30009320 29990809 13237 0
`;

test("segments sent and sent again are read by their names", () => {
  expect(parseTcpCounters(SNMP)).toEqual({ sentSegments: 29990809, retransmittedSegments: 13237 });
});

test("what is something else is no counter", () => {
  for (const text of ["", "Tcp: a b\nTcp: 1 2\n", SNMP.split("\n").slice(0, 3).join("\n")])
    expect(parseTcpCounters(text)).toBeUndefined();
});

test("loss is the share that was sent again, where enough was sent to say", () => {
  const at = (sentSegments: number, retransmittedSegments: number) => ({
    sentSegments,
    retransmittedSegments,
  });
  expect(lossBetween(at(1_000, 10), at(9_000, 18))).toBe(0.001);
  expect(lossBetween(at(1_000, 10), at(1_100, 18))).toBeUndefined();
  expect(lossBetween(at(1_000, 10), at(9_000, 5))).toBeUndefined();
  expect(lossBetween(undefined, at(9_000, 5))).toBeUndefined();
});

test("this machine's counters and congestion control are read where it has them", () => {
  const hasThem = existsSync("/proc/net/snmp");
  expect(readTcpCounters() !== undefined).toBe(hasThem);
  expect(congestionControl() !== undefined).toBe(hasThem);
});

test("bbr means few streams, any other many", () => {
  expect(congestionControlMeans("bbr")).toMatch(/1 to 4 streams/);
  expect(congestionControlMeans("cubic")).toMatch(/up to 64/);
});
