export {
  QueryError,
  type AskQueryOptions,
  type QueryErrorKind,
  type QueryObserver,
  type Sample,
} from "./query-observer";
export {
  askNumber,
  numberText,
  oneNumber,
  seriesText,
  usersIn,
  whyNotHolding,
  type NamedQueries,
} from "./judge";
