import type { AnyAttribute, AttributeValue, Attributes, Config } from "../schema";
import type { HandlerContext } from "./context";

/** An error about one argument of a function. */
export class ArgumentError extends Error {
  override readonly name = "ArgumentError";

  constructor(
    /** The parameter's name. */
    readonly parameter: string,
    message: string,
  ) {
    super(message);
  }
}

export interface FunctionHandlers<P extends Attributes, R extends AnyAttribute> {
  /** One line. */
  readonly summary: string;
  /** In Markdown. */
  readonly description: string;
  /** In the order in which they are called. Those marked `.optional()` accept null. */
  readonly parameters: P;
  readonly returns: R;
  /** Pure: called at validate, plan and apply, in a process that is not configured. Throw {@link ArgumentError} for a bad argument. */
  call(
    args: Config<P>,
    ctx: HandlerContext,
  ): AttributeValue<R, "state"> | Promise<AttributeValue<R, "state">>;
}

/** A function of any type, as a provider takes it: `provider::NAME::FUNCTION(…)`. */
export interface AnyFunction {
  readonly kind: "function";
}

/** A function. Made by {@link defineFunction}. */
export interface ProviderFunction<P extends Attributes = Attributes, R extends AnyAttribute = AnyAttribute>
  extends FunctionHandlers<P, R>, AnyFunction {}

/** Defines a provider function. */
export function defineFunction<const P extends Attributes, R extends AnyAttribute>(
  handlers: FunctionHandlers<P, R>,
): ProviderFunction<P, R> {
  return { ...handlers, kind: "function" };
}
