import { AbortedError, messageOf } from "../../../lib/errors";
import { QueryError, type QueryErrorKind } from "../../../lib/observers";

interface AwsError {
  readonly name?: string;
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

interface Told {
  readonly kind: QueryErrorKind;
  readonly problem: string;
  readonly mend: string;
}

const EXPIRED = /^(ExpiredToken|TokenRefreshRequired|RequestExpired)/;
const REFUSED =
  /^(InvalidClientTokenId|InvalidAccessKeyId|SignatureDoesNotMatch|InvalidSignature|UnrecognizedClient|AuthFailure|IncompleteSignature|MissingAuthenticationToken|InvalidToken)/;
const DENIED = /^(AccessDenied|UnauthorizedOperation|NotAuthorized)/;
const THROTTLED = /^(Throttl|RequestLimitExceeded|TooManyRequests|RequestThrottled|LimitExceeded)/;
const ABSENT = /^(TargetGroupNotFound|LoadBalancerNotFound|NoSuchHostedZone)/;
const LOG_IN =
  "Log in (`aws sso login`), set AWS_PROFILE, or give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.";

/** Is it the answer for something that does not exist? */
export function isAbsent(error: unknown): boolean {
  return ABSENT.test((error as AwsError).name ?? "");
}

/**
 * What AWS, or the way to it, said, told so that somebody can mend it.
 * @param action IAM's name for what was asked: `cloudwatch:GetMetricData`
 */
export function observerError(error: unknown, place: string, action: string, signal?: AbortSignal): Error {
  if (error instanceof AbortedError || error instanceof QueryError) return error;
  if (signal?.aborted) return new AbortedError("stopped");
  const { kind, problem, mend } = told(error as AwsError, firstLine(messageOf(error)), action);
  // Not as the cause: what the client throws may show the request with all its headers.
  return new QueryError(kind, { place, problem, mend });
}

function told(error: AwsError, message: string, action: string): Told {
  const name = error.name ?? "";
  const status = error.$metadata?.httpStatusCode ?? 0;
  if (name === "CredentialsProviderError")
    return { kind: "refused", problem: `no AWS credentials were found: ${message}`, mend: LOG_IN };
  if (message === "Region is missing") {
    return { kind: "refused", problem: "no AWS region is set", mend: "Set AWS_REGION, or give `region`." };
  }
  if (EXPIRED.test(name)) {
    return {
      kind: "refused",
      problem: "the AWS credentials have expired",
      mend: "Renew them (`aws sso login`), then apply again.",
    };
  }
  if (REFUSED.test(name)) {
    return {
      kind: "refused",
      problem: `the AWS credentials were refused (${name})`,
      mend: "Give credentials of the account that holds the load balancer, and check this machine's clock.",
    };
  }
  // Some services say "throttled" with status 400 or 403: it comes before what is denied.
  if (THROTTLED.test(name) || status === 429 || /rate exceeded/i.test(message))
    return {
      kind: "silence",
      problem: `AWS asks for fewer requests (${name || status})`,
      mend: "Wait a while.",
    };
  if (DENIED.test(name) || status === 403) {
    return {
      kind: "refused",
      problem: `access was denied: the credentials may not ${action}`,
      mend: `Allow ${action}; docs/aws-gate.md has the whole policy.`,
    };
  }
  if (status === 0 || status >= 500 || name === "TimeoutError") {
    const why = status === 0 ? (error.code ?? message) : `status ${status} (${name})`;
    return {
      kind: "silence",
      problem: `AWS gives no answer to ${action}: ${why}`,
      mend: "Check the network, and AWS_ENDPOINT_URL if it is set; then try again.",
    };
  }
  return {
    kind: "data",
    problem: `AWS would not ${action}: ${name}: ${message}`,
    mend: "Correct what it says, then try again.",
  };
}

function firstLine(text: string): string {
  return (text.split("\n")[0] ?? "").slice(0, 300);
}
