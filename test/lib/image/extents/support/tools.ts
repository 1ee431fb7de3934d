import { execFileSync, spawnSync } from "node:child_process";
import {
  accessSync,
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  rmSync,
  truncateSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const PATH = [process.env.PATH ?? "", "/usr/sbin", "/sbin"].join(delimiter);

/** The Debian package that each tool comes from, for the message when it is missing. */
const PACKAGES: Readonly<Record<string, string>> = {
  "mkfs.ext4": "e2fsprogs",
  e2fsck: "e2fsprogs",
  dumpe2fs: "e2fsprogs",
  debugfs: "e2fsprogs",
  tune2fs: "e2fsprogs",
  "mkfs.xfs": "xfsprogs",
  xfs_repair: "xfsprogs",
  xfs_db: "xfsprogs",
  xfs_logprint: "xfsprogs",
  mkswap: "util-linux",
  sfdisk: "fdisk",
  sgdisk: "gdisk",
  parted: "parted",
  "qemu-img": "qemu-utils",
};

function has(tool: string): boolean {
  return PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A test that runs real tools: in CI always, at a desk where they are installed; otherwise its title says what is missing. */
export function itWith(tools: readonly string[], title: string, body: () => Promise<void>): void {
  const missing = tools.filter((tool) => !has(tool));
  if (missing.length === 0 || process.env.CI) {
    it(title, body);
  } else {
    const packages = [...new Set(missing.map((tool) => PACKAGES[tool] ?? tool))].join(", ");
    it.skip(`${title} (not run: ${missing.join(", ")} not found; install ${packages})`, body);
  }
}

/** Runs a tool that must end well, and returns what it printed. */
export function run(tool: string, args: readonly string[], input?: string): string {
  return execFileSync(tool, args, {
    env: { ...process.env, PATH, LC_ALL: "C", MKE2FS_SYNC: "0" },
    encoding: "utf8",
    maxBuffer: 256 * 1024 * 1024,
    stdio: ["pipe", "pipe", "pipe"],
    ...(input === undefined ? {} : { input }),
  });
}

/** Runs a tool however it ends. */
export function tryRun(
  tool: string,
  args: readonly string[],
): { readonly code: number; readonly text: string } {
  const { status, stdout, stderr } = spawnSync(tool, args, {
    env: { ...process.env, PATH, LC_ALL: "C" },
    encoding: "utf8",
    maxBuffer: 256 * 1024 * 1024,
  });
  return { code: status ?? -1, text: `${stdout}${stderr}` };
}

/** Can file systems be mounted here? Only as root, and not in every container. */
function tryMounting(): boolean {
  if (process.getuid?.() !== 0 || !has("losetup") || !has("mkfs.ext4")) return false;
  const directory = mkdtempSync(join(tmpdir(), "spillway-can-mount-"));
  try {
    const [image, at] = [join(directory, "image"), join(directory, "at")];
    closeSync(openSync(image, "w"));
    truncateSync(image, 1024 * 1024);
    mkdirSync(at);
    run("mkfs.ext4", ["-q", "-F", image]);
    if (tryRun("mount", ["-o", "loop", image, at]).code !== 0) return false;
    return tryRun("umount", [at]).code === 0;
  } catch {
    return false;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

let canMount: boolean | undefined;

/** A test that mounts file systems, where that is possible. */
export function itMounting(tools: readonly string[], title: string, body: () => Promise<void>): void {
  canMount ??= tryMounting();
  if (canMount) itWith(tools, title, body);
  else it.skip(`${title} (not run: nothing can be mounted here)`, body);
}

/** Mounts `image` while `use` runs. */
export async function mounted<T>(
  image: string,
  options: string,
  use: (at: string) => Promise<T>,
): Promise<T> {
  const at = mkdtempSync(join(tmpdir(), "spillway-mounted-"));
  run("mount", ["-o", `loop${options}`, image, at]);
  try {
    return await use(at);
  } finally {
    run("umount", [at]);
    rmdirSync(at);
  }
}
