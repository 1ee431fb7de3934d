const fs = require("node:fs");

/** The most memory this process ever had, in bytes. What `resourceUsage` says counts the process it was forked from too. */
exports.peakBytes = () => {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(fs.readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
};
