/** Tests that start processes run the built program: build it once, before any of them. */
const { execFileSync } = require("node:child_process");
const path = require("node:path");

module.exports = () => {
  const root = path.join(__dirname, "..", "..");
  execFileSync(process.execPath, [path.join(root, "scripts", "build.mjs"), "--quiet"], {
    cwd: root,
    stdio: "inherit",
  });
};
