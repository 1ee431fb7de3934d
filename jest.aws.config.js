/**
 * Applies with the real AWS provider against an emulator of AWS: `npm run test:aws`. The long ones (`*.slow.aws.test.ts`: faults, kills
 * at every call) are among them with SPILLWAY_SLOW=1 and in CI.
 */
const slow = Boolean(process.env.CI || process.env.SPILLWAY_SLOW);

module.exports = {
  ...require("./jest.config.js"),
  testMatch: ["<rootDir>/test/**/*.aws.test.ts", "<rootDir>/examples/**/*.aws.test.ts"],
  testPathIgnorePatterns: ["/node_modules/", "/dist/", ...(slow ? [] : ["\\.slow\\.aws\\.test\\.ts$"])],
  // Nearly all of their time is spent waiting.
  maxWorkers: slow ? 4 : 2,
  testTimeout: 1_200_000,
};
