import { metricsText, single, type MetricFamily, type MetricSeries } from "../metrics";
import type { Decision, Observation } from "../policy";
import type { HookEvent } from "./events";

const PHASES: readonly Decision["phase"][] = ["quiet", "bursting", "burst", "homing"];
const COUNTED: readonly HookEvent["kind"][] = [
  "applied",
  "failed",
  "refused",
  "aborted",
  "proposed",
  "problem",
];

/** A hook's metrics, made of the events that it tells. */
export class HookMetrics {
  private leaseHeld = false;
  private decision: Decision | undefined;
  private decidedAt: number | undefined;
  private changedAt: number | undefined;
  private observation: Observation | undefined;
  private readonly decisions = new Map<Decision["action"], number>([
    ["hold", 0],
    ["burst", 0],
    ["adjust", 0],
    ["home", 0],
  ]);
  private readonly outcomes = new Map<HookEvent["kind"], number>(COUNTED.map((kind) => [kind, 0]));

  constructor(private readonly burst: string) {}

  /** Takes note of an event. */
  see(event: HookEvent): void {
    const { kind, at } = event;
    const counted = this.outcomes.get(kind);
    if (counted !== undefined) this.outcomes.set(kind, counted + 1);
    if (kind === "started") this.leaseHeld = true;
    else if (kind === "stopped") this.leaseHeld = false;
    else if (kind === "observed") this.observation = event.observation;
    else if (kind === "decided") {
      const { action } = event.decision;
      this.decision = event.decision;
      this.decidedAt = at;
      this.decisions.set(action, (this.decisions.get(action) ?? 0) + 1);
      if (action !== "hold") this.changedAt = at;
    }
  }

  /** In Prometheus' text format. */
  text(): string {
    const labels = { burst: this.burst };
    return metricsText(
      this.families().map((family) => ({
        ...family,
        series: family.series.map((each) => ({ ...each, labels: { ...labels, ...each.labels } })),
      })),
    );
  }

  private families(): readonly MetricFamily[] {
    const { decision, observation } = this;
    const figures = decision?.figures;
    const seconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1_000);
    const sites = observation ? [observation.onPrem, observation.cloud] : [];
    const series = (of: Iterable<readonly [string, number]>, label: string): MetricSeries[] =>
      [...of].map(([name, value]) => ({ labels: { [label]: name }, value }));
    return [
      single(
        "gauge",
        "spillway_hook_lease_held",
        "1 while this is the active hook of the burst.",
        this.leaseHeld ? 1 : 0,
      ),
      {
        name: "spillway_hook_phase",
        help: "1 for the phase that the burst is in.",
        type: "gauge",
        series: decision
          ? series(
              PHASES.map((phase) => [phase, decision.phase === phase ? 1 : 0]),
              "phase",
            )
          : [],
      },
      {
        name: "spillway_hook_decisions_total",
        help: "Decisions by action.",
        type: "counter",
        series: series(this.decisions, "action"),
      },
      {
        name: "spillway_hook_outcomes_total",
        help: "What came of what was decided; problem: what else went wrong, each told once until it changes.",
        type: "counter",
        series: series(this.outcomes, "outcome"),
      },
      single(
        "gauge",
        "spillway_hook_last_decision_timestamp_seconds",
        "When it decided last, also to do nothing.",
        seconds(this.decidedAt),
      ),
      single(
        "gauge",
        "spillway_hook_last_change_timestamp_seconds",
        "When it last decided to change something.",
        seconds(this.changedAt),
      ),
      single(
        "gauge",
        "spillway_hook_demand_requests_per_second",
        "Demand that it decided on.",
        figures?.demandRps,
      ),
      single(
        "gauge",
        "spillway_hook_forecast_requests_per_second",
        "Demand expected after the lead time.",
        figures?.forecastRps,
      ),
      single(
        "gauge",
        "spillway_hook_lead_time_seconds",
        "From a decision to users in the cloud.",
        seconds(figures?.leadTimeMs),
      ),
      single(
        "gauge",
        "spillway_hook_utilisation_ratio",
        "Demand or forecast over the on-premises capacity.",
        figures?.utilisation,
      ),
      single(
        "gauge",
        "spillway_hook_cloud_members_needed",
        "Cloud members that the forecast asks for.",
        figures?.membersNeeded,
      ),
      {
        name: "spillway_hook_site_reachable",
        help: "1 while the site's figures are known.",
        type: "gauge",
        series: sites.map(({ site, reachable }) => ({ labels: { site }, value: reachable ? 1 : 0 })),
      },
      {
        name: "spillway_hook_desired_weight",
        help: "Share of users that a site is to have, of 100.",
        type: "gauge",
        series: series(Object.entries(decision?.desired.weights ?? {}), "site"),
      },
    ];
  }
}
