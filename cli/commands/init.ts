import { relative, resolve } from "node:path";
import { EXIT } from "../output";
import { scaffold } from "../scaffold";
import { VERSION } from "../version";

export interface InitOptions {
  readonly name: string;
  readonly dir?: string;
  readonly json?: boolean;
}

/** Scaffolds a project. */
export async function run(options: InitOptions): Promise<number> {
  const dir = resolve(options.dir ?? options.name);
  const files = scaffold({ dir, name: options.name, spillwayVersion: VERSION });
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ ok: true, dir, files })}\n`);
    return EXIT.ok;
  }
  process.stdout.write(`${files.map((file) => `  ${file}`).join("\n")}\n\n`);
  process.stdout.write(`Next: cd ${relative(process.cwd(), dir) || "."} && npm install && npm run plan\n`);
  return EXIT.ok;
}
