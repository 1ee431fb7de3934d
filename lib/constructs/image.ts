import { isAbsolute, join, relative, resolve } from "node:path";
import { App, TerraformStack, Token } from "cdktf";
import type { IConstruct } from "constructs";
import { digestRule, refuse, textRule } from "./validate";

export interface ImageProps {
  /**
   * The image file at the near side, where Terraform runs. A relative path is taken from the directory that the program is run in,
   * and stays relative in the synthesised stack, so that it is the same on every machine.
   */
  readonly source: string;
  /**
   * What the file must be: `sha256:` and 64 lower-case hex digits. A file that is something else is refused by the plan.
   * @default - whatever the file is when planned
   */
  readonly digest?: string;
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

  /** @throws SpillwayError, SpillwayErrors on a bad prop */
  constructor(props: ImageProps) {
    refuse("Image", [
      textRule("source", props.source, "Give the path of the image file."),
      digestRule("digest", props.digest),
    ]);
    this.source = props.source;
    this.digest = props.digest;
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
