const endings = [];

/**
 * Has something undone when the process ends, last things first, also after Ctrl-C. What cannot be undone does not keep the rest
 * from it.
 * @param {() => void} undo synchronous
 * @returns {() => void} undoes it now
 */
export function atEnd(undo) {
  const ending = { undo };
  endings.push(ending);
  return () => {
    const at = endings.indexOf(ending);
    if (at < 0) return;
    endings.splice(at, 1);
    undo();
  };
}

process.once("exit", () => {
  while (endings.length > 0) {
    try {
      endings.pop().undo();
    } catch (problem) {
      process.stderr.write(`${problem.message}\n`);
    }
  }
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(130));
