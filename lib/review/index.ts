export { parsePlan, changesAnything } from "./parse";
export { renderMarkdown, summarise, type MarkdownOptions } from "./markdown";
export {
  SENSITIVE,
  type AttributeChange,
  type ChangeAction,
  type FailedCheck,
  type OutputChange,
  type PlanModel,
  type ResourceChange,
  type ConfiguredResource,
  type PlanContext,
  type StandingResource,
} from "./model";
export { sameJson, type JsonObject, type JsonValue } from "./json";
