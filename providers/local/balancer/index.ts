export { LocalBalancer, type LocalBalancerOptions } from "./local-balancer";
