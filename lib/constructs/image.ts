import { isAbsolute, join, relative, resolve } from "node:path";
import { App, TerraformStack, Token } from "cdktf";
import type { IConstruct } from "constructs";
import { digestRule, refuse, rule, textRule } from "./validate";

export interface ImageProps {
  /**
   * The image file at the near side, where Terraform runs. A relative path is taken from the directory that the program is run in,
   * and stays relative in the synthesised stack, so that it is the same on every machine.
   */
  readonly source: string;
  /**
   * What the file must be: `sha256:` and 64 lower-case hex digits, as `spillway image index FILE` prints them. A file that is something
   * else is refused by the plan.
   * @default - whatever the file is when planned
   */
  readonly digest?: string;
  /**
   * Bit by bit, also what the image's file systems call free. It makes transfers longer, and another image (another digest) of the file.
   * @default false: free blocks count as zeros
   */
  readonly exact?: boolean;
  /**
   * How the file is read. Name it for images of machines that are not trusted.
   * @default - told from the file's first bytes
   */
  readonly format?: "raw" | "qcow2";
}

/**
 * A machine image: what members are launched from. A value, not a resource; an {@link ImageReplica} is one that a site holds.
 *
 * @example
 * const image = new Image({ source: "images/shop.tar" });
 */
export class Image {
  readonly source: string;
  readonly digest?: string;
  readonly exact?: boolean;
  readonly format?: "raw" | "qcow2";

  /** @throws SpillwayError, SpillwayErrors on a bad prop */
  constructor(props: ImageProps) {
    refuse("Image", [
      textRule("source", props.source, "Give the path of the image file."),
      digestRule("digest", props.digest),
      rule(
        props.format === undefined || props.format === "raw" || props.format === "qcow2",
        "format",
        `must be "raw" or "qcow2", got ${JSON.stringify(props.format)}`,
        "Leave it out to have it told from the file's first bytes.",
      ),
    ]);
    this.source = props.source;
    this.digest = props.digest;
    this.exact = props.exact;
    this.format = props.format;
  }
}

/**
 * A path of the program as Terraform, which runs in the stack's own folder, must write it.
 * @internal
 */
export function pathFromStack(scope: IConstruct, path: string): string {
  if (Token.isUnresolved(path) || isAbsolute(path)) return path;
  const stack = TerraformStack.of(scope);
  return relative(join(resolve(App.of(scope).outdir), "stacks", stack.node.id), resolve(path)).replaceAll(
    "\\",
    "/",
  );
}
