/** The slow matrices (kills at every phase, three demos in a row): `npm run test:slow`. CI runs them too. */
module.exports = {
  ...require("./jest.config.js"),
  testMatch: ["<rootDir>/test/**/*.slow.test.ts", "<rootDir>/examples/**/*.slow.test.ts"],
  testPathIgnorePatterns: ["/node_modules/", "/dist/"],
  maxWorkers: 1,
  testTimeout: 600_000,
};
