import { describeShift } from "../../support/shift";
import { startBalancer } from "../support/balancer";

describeShift("a shift behind the embedded balancer", startBalancer);
