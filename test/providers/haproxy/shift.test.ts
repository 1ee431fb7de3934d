import { describeShift } from "../support/shift";
import { describeWithHaproxy, startHaproxy } from "./support/haproxy";

describeShift("a shift behind HAProxy", startHaproxy, describeWithHaproxy);
