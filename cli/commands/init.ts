import { existsSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { EXIT } from "../output";
import { scaffold } from "../scaffold";
import { PACKAGE_ROOT, VERSION } from "../version";

export interface InitOptions {
  readonly name: string;
  readonly dir?: string;
  readonly json?: boolean;
}

/** Scaffolds a project. */
export async function run(options: InitOptions): Promise<number> {
  const dir = resolve(options.dir ?? options.name);
  const fromCheckout = !PACKAGE_ROOT.includes(`${sep}node_modules${sep}`);
  // A checkout is not in any registry: the project takes it from where it is, packed as npm would publish it.
  const spillway = fromCheckout ? `file:${PACKAGE_ROOT}` : `^${VERSION}`;
  const files = scaffold({ dir, name: options.name, spillway });
  const built = existsSync(join(PACKAGE_ROOT, "dist", "lib", "index.d.ts"));
  const next = [
    ...(built ? [] : [`(cd ${PACKAGE_ROOT} && npm run build)`]),
    `cd ${relative(process.cwd(), dir) || "."}`,
    "npm install",
    "npm run plan",
  ].join(" && ");
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ ok: true, dir, files, next })}\n`);
    return EXIT.ok;
  }
  process.stdout.write(`${files.map((file) => `  ${file}`).join("\n")}\n\nNext: ${next}\n`);
  return EXIT.ok;
}
