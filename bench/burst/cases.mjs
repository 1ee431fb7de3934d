import { byHand, byHandCareful } from "./tools/by-hand.mjs";
import { spillway } from "./tools/spillway.mjs";

export const TOOLS = [spillway, byHand, byHandCareful];

/**
 * What the users are. Where connections are kept a user chooses a site only now and then, so there are more of them: by chance alone
 * half of 480 users are off by 2 points (one sigma).
 */
export const CASES = [
  { name: "keep-alive", clients: 480, keepAlive: true, ttlIgnoring: 0, liveMessagesPerSecond: 0 },
  { name: "no-keep-alive", clients: 240, keepAlive: false, ttlIgnoring: 0, liveMessagesPerSecond: 0 },
  { name: "ttl-ignored", clients: 240, keepAlive: false, ttlIgnoring: 0.3, liveMessagesPerSecond: 0 },
  { name: "websockets", clients: 480, keepAlive: true, ttlIgnoring: 0, liveMessagesPerSecond: 120 },
];
