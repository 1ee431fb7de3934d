import { Construct } from "constructs";
import { Pool as PoolBinding } from "./bindings/pool";
import type { Condition } from "./condition";
import type { IPool, PoolProps, PoolSettings } from "./pool";
import { poolRules, renderPool, settingsOf } from "./pool";
import type { Site } from "./site";
import { SpillwayProvider } from "./spillway-provider";
import { nameRule, portRule, refuse, wholeRule } from "./validate";

export type OnPremPoolProps = PoolProps;

/**
 * What must be known of a pool that another stack, or a person, looks after. Its settings are for a burst's cloud pool to take over;
 * they change nothing at home.
 */
export interface OnPremPoolAttributes extends PoolSettings {
  readonly site: Site;
  /** Its name at the site. */
  readonly poolName: string;
  readonly port: number;
  readonly members: number;
}

/**
 * The pool at home: it stays, and carries the users for as long as it can.
 *
 * Changing its site or its name replaces it, and users lose it meanwhile.
 *
 * @example
 * const pool = new OnPremPool(stack, "shop", { replica, members: 2, port: 8080, monitor });
 */
export class OnPremPool extends Construct implements IPool {
  /** The generated class, for what this one does not offer. */
  readonly resource: PoolBinding;
  readonly poolId: string;
  readonly poolName: string;
  readonly site: Site;
  readonly port: number;
  readonly members: number;
  readonly settings: PoolSettings;

  /** A pool that runs at a site already and is not this stack's to change. */
  static fromAttributes(scope: Construct, id: string, attributes: OnPremPoolAttributes): IPool {
    class Imported extends Construct implements IPool {
      readonly poolId = `${attributes.site.name}/${attributes.poolName}`;
      readonly poolName = attributes.poolName;
      readonly site = attributes.site;
      readonly port = attributes.port;
      readonly members = attributes.members;
      readonly settings = settingsOf(attributes);
      readonly condition: Condition | undefined = undefined;
    }
    const pool = new Imported(scope, id);
    refuse(pool.node.path, [
      nameRule("poolName", attributes.poolName),
      portRule("port", attributes.port),
      wholeRule("members", attributes.members, 1, "Give the number of members that it runs."),
    ]);
    SpillwayProvider.of(pool).use(attributes.site);
    return pool;
  }

  /** @throws SpillwayError, SpillwayErrors on bad props */
  constructor(scope: Construct, id: string, props: OnPremPoolProps) {
    super(scope, id);
    this.poolName = props.poolName ?? id;
    refuse(this.node.path, poolRules(props, this.poolName));
    SpillwayProvider.of(this).use(props.replica.site);
    this.site = props.replica.site;
    this.port = props.port;
    this.members = props.members;
    this.settings = settingsOf(props);
    this.resource = new PoolBinding(this, "Resource", renderPool(this, props, this.poolName));
    this.poolId = this.resource.id;
  }
}
