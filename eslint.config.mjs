import tseslint from "typescript-eslint";

/** The house's one architectural rule: `lib` is what a burst is and never imports what it runs on. */
const libNeverImportsProviders = {
  files: ["lib/**/*.ts"],
  rules: {
    "no-restricted-imports": [
      "error",
      {
        patterns: [
          {
            group: ["**/providers/**", "**/providers", "**/cli/**"],
            message: "lib never imports providers or cli (docs/architecture.md).",
          },
        ],
      },
    ],
  },
};

/** Pure rooms: values in, values out. */
const pureRooms = {
  files: ["lib/policy/**/*.ts", "lib/review/**/*.ts", "lib/image/chunking/**/*.ts"],
  rules: {
    "no-restricted-imports": [
      "error",
      {
        paths: ["fs", "http", "https", "net", "child_process", "cdktf"].flatMap((name) => [
          { name, message: "policy, review and chunking are pure (docs/architecture.md)." },
          { name: `node:${name}`, message: "policy, review and chunking are pure (docs/architecture.md)." },
        ]),
        patterns: [
          {
            group: ["**/providers/**", "**/cli/**", "**/site/client*"],
            message: "policy, review and chunking are pure.",
          },
        ],
      },
    ],
  },
};

/** The bindings' root loads all of AWS: 1.5 s and 450 MB for each process. */
const awsBindingsBySubpath = {
  files: ["providers/**/*.ts", "examples/**/*.ts", "test/**/*.ts", "cli/**/*.ts"],
  rules: {
    "no-restricted-imports": [
      "error",
      {
        paths: ["@cdktf/provider-aws", "@cdktf/provider-aws/lib", "@cdktf/provider-aws/lib/index"].map(
          (name) => ({
            name,
            message: "import by subpath: @cdktf/provider-aws/lib/launch-template (docs/aws.md).",
          }),
        ),
      },
    ],
  },
};

export default tseslint.config(
  { ignores: ["dist/**", "node_modules/**", "**/cdktf.out/**", "lib/constructs/bindings/**", "coverage/**"] },
  ...tseslint.configs.recommended,
  {
    rules: {
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      eqeqeq: ["error", "always", { null: "ignore" }],
      "no-console": "error",
    },
  },
  libNeverImportsProviders,
  pureRooms,
  awsBindingsBySubpath,
  { files: ["cli/**", "scripts/**", "bench/**", "examples/**"], rules: { "no-console": "off" } },
  {
    files: ["**/*.cjs", "jest*.js", "*.config.js"],
    rules: { "@typescript-eslint/no-require-imports": "off" },
  },
);
