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
} from "./model";
export { sameJson, type JsonObject, type JsonValue } from "./json";
