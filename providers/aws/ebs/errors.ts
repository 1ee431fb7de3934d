import { AbortedError, messageOf } from "../../../lib/errors";
import { SnapshotError, type SnapshotErrorCode } from "../../../lib/image/snapshot";

interface AwsError {
  readonly name?: string;
  readonly code?: string;
  readonly Reason?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

/** What was asked of AWS. */
export interface Asked {
  /** `EBS in eu-central-1` */
  readonly place: string;
  /** IAM's name for it: `ebs:PutSnapshotBlock`. */
  readonly action: string;
  /** The snapshot, where one was named. */
  readonly snapshotId?: string;
}

interface Told {
  readonly code: SnapshotErrorCode;
  readonly problem: string;
  readonly mend: string;
}

const KEPT = "Try again: what has arrived is kept.";
const THROTTLED =
  /^(RequestThrottled|Throttl|RequestLimitExceeded|TooManyRequests|SlowDown|BandwidthLimitExceeded|ServiceUnavailable)/;
const EXPIRED = /^(ExpiredToken|TokenRefreshRequired|RequestExpired)/;
const REFUSED_CREDENTIALS =
  /^(InvalidClientTokenId|InvalidAccessKeyId|SignatureDoesNotMatch|InvalidSignature|UnrecognizedClient|AuthFailure|IncompleteSignature|MissingAuthenticationToken)/;
const DENIED = /^(AccessDenied|UnauthorizedOperation|NotAuthorized|Client\.UnauthorizedOperation)/;
const QUOTA =
  /^(ServiceQuotaExceeded|ConcurrentSnapshotLimitExceeded|SnapshotLimitExceeded|PendingSnapshotLimitExceeded)/;
const NOT_FOUND = /^(ResourceNotFound|InvalidSnapshot\.NotFound|InvalidSnapshotID)/;
const KMS = /kms|customer ?key|key ?(id|arn|state|policy)/i;

/** What AWS, or the way to it, said, told so that somebody can mend it. */
export function snapshotError(error: unknown, asked: Asked): Error {
  if (error instanceof AbortedError || error instanceof SnapshotError) return error;
  const found = error as AwsError;
  const { code, problem, mend } = told(found, firstLine(messageOf(error)), asked);
  // Not as the cause: what the client throws may show the request with all its headers.
  return new SnapshotError(code, { place: asked.place, problem, mend }, retryAfterMs(found));
}

/** What `Retry-After` asks for: seconds, or a date. */
function retryAfterMs({ $response }: AwsError): number | undefined {
  const text = Object.entries($response?.headers ?? {}).find(
    ([name]) => name.toLowerCase() === "retry-after",
  )?.[1];
  if (text === undefined) return undefined;
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) && ms > 0 ? ms : undefined;
}

function told(error: AwsError, message: string, asked: Asked): Told {
  const name = error.name ?? "";
  const status = error.$metadata?.httpStatusCode ?? 0;
  const { action, snapshotId } = asked;
  if (name === "CredentialsProviderError") {
    return {
      code: "unauthorized",
      problem: `no AWS credentials were found: ${message}`,
      mend: "Log in (`aws sso login`), set AWS_PROFILE, or give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    };
  }
  if (EXPIRED.test(name)) {
    return {
      code: "unauthorized",
      problem: "the AWS credentials have expired",
      mend: "Renew them (`aws sso login`), then try again: what has arrived is kept.",
    };
  }
  if (REFUSED_CREDENTIALS.test(name)) {
    return {
      code: "unauthorized",
      problem: `the AWS credentials were refused (${name})`,
      mend: "Give credentials of the account that is to hold the snapshot, and check this machine's clock.",
    };
  }
  if (message === "Region is missing") return NO_REGION;
  if (QUOTA.test(name)) {
    return {
      code: "quota",
      problem: `a quota of the account is used up (${name}): ${message}`,
      mend: "Wait until other snapshots are completed, or ask for a larger quota (pending snapshots, snapshots per region).",
    };
  }
  if (DENIED.test(name) || status === 403) {
    if (KMS.test(message)) {
      return {
        code: "unauthorized",
        problem: `the KMS key may not be used (${action}): ${message}`,
        mend: "Allow kms:DescribeKey, kms:GenerateDataKeyWithoutPlaintext, kms:CreateGrant, kms:ReEncrypt* and kms:Decrypt on it, in IAM and in the key's policy.",
      };
    }
    return {
      code: "unauthorized",
      problem: `access was denied: the credentials may not ${action}`,
      mend: `Allow ${action}; docs/ebs.md has the whole policy.`,
    };
  }
  if (THROTTLED.test(name) || status === 429 || status === 503) {
    return { code: "throttled", problem: `AWS asks for fewer requests (${name || status})`, mend: KEPT };
  }
  if (name === "InvalidSnapshot.InUse") {
    return {
      code: "in-use",
      problem: `the snapshot ${snapshotId ?? ""} is in use by a machine image`,
      mend: "Deregister that image first.",
    };
  }
  if (NOT_FOUND.test(name) || /does not exist/i.test(message)) {
    return {
      code: "not-found",
      problem: `there is no snapshot ${snapshotId ?? ""}: ${message}`,
      mend: "If it was deleted meanwhile, try again: it is made anew.",
    };
  }
  if (name.startsWith("ValidationException")) return refused(error, message, asked);
  if (name.startsWith("ConflictException") || name.startsWith("IncorrectState")) {
    return { code: "conflict", problem: `${action} was refused: ${message}`, mend: "Try again." };
  }
  if (status === 0) return unreached(error, message, name);
  if (status >= 500 || name === "RequestTimeout" || status === 408) {
    return { code: "slow", problem: `AWS answered ${action} with ${status} (${name})`, mend: KEPT };
  }
  return {
    code: "invalid",
    problem: `AWS would not ${action}: ${name}: ${message}`,
    mend: "Correct what it says, then try again.",
  };
}

const NO_REGION: Told = {
  code: "invalid",
  problem: "no AWS region is set",
  mend: "Give `ebs.region` (or ebs:REGION), or set AWS_REGION.",
};

function refused({ Reason = "" }: AwsError, message: string, { action }: Asked): Told {
  const problem = `${action} was refused: ${message}${Reason ? ` (${Reason})` : ""}`;
  if (Reason === "WRITE_REQUEST_TIMEOUT" || Reason === "CONFLICTING_BLOCK_UPDATE") {
    return { code: "slow", problem, mend: KEPT };
  }
  if (/checksum/i.test(message) && action === "ebs:PutSnapshotBlock") {
    return { code: "corrupt", problem, mend: KEPT };
  }
  if (Reason === "INVALID_CUSTOMER_KEY" || (KMS.test(message) && action === "ebs:StartSnapshot")) {
    return {
      code: "invalid",
      problem,
      mend: "Give `kms_key_id` the ARN of an enabled, symmetric key of the same region that you may use.",
    };
  }
  if (/pending|status|state|complete/i.test(message) && action !== "ebs:StartSnapshot") {
    return { code: "conflict", problem, mend: "Try again." };
  }
  return { code: "invalid", problem, mend: "Correct what it says, then try again." };
}

function unreached(error: AwsError, message: string, name: string): Told {
  const why = error.code ? `${error.code}: ${message}` : message;
  const isSlow = /timeout/i.test(name) || /timed? ?out|inactivity/i.test(message);
  return {
    code: isSlow ? "slow" : "unreachable",
    problem: isSlow ? `AWS did not answer in time: ${why}` : `AWS cannot be reached: ${why}`,
    mend: "Check the network, the region and AWS_ENDPOINT_URL, then try again: what has arrived is kept.",
  };
}

function firstLine(text: string): string {
  return text.split("\n")[0].slice(0, 300);
}
