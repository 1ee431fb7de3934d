import { Construct } from "constructs";
import { Pool as PoolBinding } from "./bindings/pool";
import type { Condition } from "./condition";
import { attributeOf, countOf } from "./condition";
import type { IPool, PoolProps, PoolSettings } from "./pool";
import { poolRules, renderPool, settingsOf } from "./pool";
import type { Site } from "./site";
import { SpillwayProvider } from "./spillway-provider";
import { refuse } from "./validate";

export interface CloudPoolProps extends PoolProps {
  /**
   * The pool is there only while this is true.
   * @default - while its replica is
   */
  readonly when?: Condition;
}

/**
 * The pool away from home: it comes and goes. Direct users to it through a {@link Gate}, which knows when it is available and, on
 * the way home, when its last user has left.
 *
 * It is created before anything older is destroyed. Without that, Terraform would take a pool that is no longer wanted down
 * *before* it takes the pool's address out of the record.
 *
 * @example
 * const pool = new CloudPool(stack, "shop", { replica, members: 3, port: 8080, monitor });
 */
export class CloudPool extends Construct implements IPool {
  /** The generated class, for what this one does not offer. */
  readonly resource: PoolBinding;
  readonly poolId: string;
  readonly poolName: string;
  readonly site: Site;
  readonly port: number;
  readonly members: number;
  readonly settings: PoolSettings;
  readonly condition?: Condition;

  /** @throws SpillwayError, SpillwayErrors on bad props */
  constructor(scope: Construct, id: string, props: CloudPoolProps) {
    super(scope, id);
    this.poolName = props.poolName ?? id;
    refuse(this.node.path, poolRules(props, this.poolName));
    SpillwayProvider.of(this).use(props.replica.site);
    this.site = props.replica.site;
    this.port = props.port;
    this.members = props.members;
    this.settings = settingsOf(props);
    this.condition = props.when ?? props.replica.condition;
    this.resource = new PoolBinding(this, "Resource", {
      ...renderPool(this, props, this.poolName),
      count: countOf(this.condition),
      lifecycle: { createBeforeDestroy: true },
    });
    this.poolId = attributeOf(this.resource, "id");
  }
}
