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
export { type PoolObserver, type SeenAvailability, type SeenMember, type SeenUsers } from "./pool-observer";
