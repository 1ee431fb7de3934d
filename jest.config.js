/** The default suite: everything that runs in under ten minutes on two cores. */
module.exports = {
  rootDir: __dirname,
  testMatch: ["<rootDir>/test/**/*.test.ts", "<rootDir>/examples/**/*.test.ts"],
  testPathIgnorePatterns: ["/node_modules/", "/dist/", "\\.slow\\.test\\.ts$", "\\.aws\\.test\\.ts$"],
  modulePathIgnorePatterns: ["<rootDir>/dist/", "cdktf.out"],
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      { jsc: { target: "es2022", parser: { syntax: "typescript" } }, module: { type: "commonjs" } },
    ],
  },
  moduleNameMapper: {
    "^spillway$": "<rootDir>/lib/index.ts",
    "^spillway/(.*)$": "<rootDir>/lib/$1",
    // What is loaded only when it is needed is named as it is once it is built.
    "^((?:\\.\\./)+aws/[\\w/-]+)\\.js$": "$1",
  },
  setupFilesAfterEnv: ["<rootDir>/test/support/retry-in-ci.cjs"],
  globalSetup: "<rootDir>/test/support/global-setup.cjs",
  maxWorkers: 2,
  // Whatever a failed test left open must not keep CI waiting for its verdict.
  forceExit: Boolean(process.env.CI),
  testTimeout: 30_000,
};
