import { AbortedError, messageOf } from "../../../lib/errors";
import { TargetError, type TargetErrorCode } from "../../../lib/image/targets/errors";

interface AwsError {
  readonly name?: string;
  readonly code?: string;
  readonly Code?: string;
  readonly Region?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

interface Told {
  readonly code: TargetErrorCode;
  readonly problem: string;
  readonly mend: string;
}

const RETRY = "Try again: what has arrived is kept.";

/**
 * What the bucket, or the way to it, said, told so that somebody can mend it.
 * @param place `s3://bucket/prefix` @param doing `put an object` @param endpoint only for the text
 */
export function bucketError(error: unknown, place: string, bucket: string, doing: string): Error {
  if (error instanceof AbortedError || error instanceof TargetError) return error;
  const found = error as AwsError;
  if (found.name === "AbortError") return new AbortedError("stopped");
  const { code, problem, mend } = told(found, messageOf(error), bucket, doing);
  // Not as the cause: what the client throws may show the request with all its headers.
  return new TargetError(code, { place, problem, mend });
}

/** Is it the answer for an object that is not there? */
export function isNoSuchKey(error: unknown): boolean {
  const { name, $metadata } = error as AwsError;
  return name === "NoSuchKey" || (name === "NotFound" && $metadata?.httpStatusCode === 404);
}

/** Is it the answer for an object that is there already, or is being written by another? */
export function isThereAlready(error: unknown): boolean {
  const { name, $metadata } = error as AwsError;
  return (
    name === "PreconditionFailed" || $metadata?.httpStatusCode === 412 || $metadata?.httpStatusCode === 409
  );
}

/** Does the service not know conditional writes? */
export function isNotImplemented(error: unknown): boolean {
  const { name, $metadata } = error as AwsError;
  return name === "NotImplemented" || $metadata?.httpStatusCode === 501;
}

function told(error: AwsError, message: string, bucket: string, doing: string): Told {
  const name = error.name ?? "";
  const status = error.$metadata?.httpStatusCode ?? 0;
  switch (name) {
    case "NoSuchBucket":
      return {
        code: "invalid",
        problem: `there is no bucket "${bucket}"`,
        mend: "Correct the bucket's name, or make it first; --endpoint-url (or AWS_ENDPOINT_URL) says at which service.",
      };
    case "InvalidBucketName":
      return {
        code: "invalid",
        problem: `"${bucket}" cannot be a bucket's name`,
        mend: "A bucket's name has 3 to 63 lower-case letters, digits, dots and dashes.",
      };
    case "CredentialsProviderError":
      return {
        code: "unauthorized",
        problem: `no AWS credentials were found: ${firstSentence(message)}`,
        mend: "Log in (`aws sso login`), set AWS_PROFILE, or give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
      };
    case "ExpiredToken":
    case "ExpiredTokenException":
    case "TokenRefreshRequired":
      return {
        code: "unauthorized",
        problem: "the AWS credentials have expired",
        mend: "Renew them (`aws sso login`), then try again: what has arrived is kept.",
      };
    case "InvalidAccessKeyId":
    case "SignatureDoesNotMatch":
    case "InvalidToken":
      return {
        code: "unauthorized",
        problem: `the AWS credentials were refused (${name})`,
        mend: "Give credentials of the account that the bucket belongs to, or that it lets in.",
      };
    case "RequestTimeTooSkewed":
      return {
        code: "invalid",
        problem: "the clock of this machine is too far off for signed requests",
        mend: "Set it right (NTP), then try again.",
      };
    case "PermanentRedirect":
    case "AuthorizationHeaderMalformed":
    case "IllegalLocationConstraintException":
      return {
        code: "invalid",
        problem: `the bucket "${bucket}" is in another region${error.Region ? `: ${error.Region}` : ""}`,
        mend: `Set AWS_REGION${error.Region ? `=${error.Region}` : " to it"}.`,
      };
    case "BadDigest":
    case "XAmzContentSHA256Mismatch":
    case "InvalidDigest":
      return { code: "image-corrupt", problem: `what arrived is not what was sent (${name})`, mend: RETRY };
    case "EntityTooLarge":
      return {
        code: "too-large",
        problem: "the object is too large for the bucket",
        mend: "Use a bucket of another service.",
      };
  }
  if (message === "Region is missing") {
    return {
      code: "invalid",
      problem: "no AWS region is set",
      mend: "Set AWS_REGION to the bucket's region.",
    };
  }
  if (name === "AccessDenied" || status === 403) {
    return {
      code: "unauthorized",
      problem: `access was denied: the credentials may not ${doing} in the bucket "${bucket}"`,
      mend: "Allow s3:ListBucket on it, and s3:GetObject, s3:PutObject and s3:DeleteObject below the prefix (and its KMS key, if it has one).",
    };
  }
  if (status === 507 || /StorageFull|QuotaExceeded/.test(name)) {
    return {
      code: "disk-full",
      problem: `the bucket takes no more (${name})`,
      mend: "Make room there, then try again.",
    };
  }
  if (status === 0) {
    const why = error.code ? `${error.code}: ${message}` : message;
    return {
      code: /timeout/i.test(name) || /timed? ?out/i.test(message) ? "slow" : "unreachable",
      problem: `the bucket's service cannot be reached: ${why}`,
      mend: "Check the network and the endpoint (--endpoint-url or AWS_ENDPOINT_URL), then try again.",
    };
  }
  if (status >= 500 || name === "SlowDown" || name === "RequestTimeout") {
    return { code: "slow", problem: `the bucket's service answered ${status} (${name})`, mend: RETRY };
  }
  return {
    code: "invalid",
    problem: `the bucket's service would not ${doing}: ${name}: ${firstSentence(message)}`,
    mend: "Check the bucket and the endpoint; `aws s3 ls` shows whether it can be reached.",
  };
}

function firstSentence(text: string): string {
  return text.split("\n")[0].slice(0, 300);
}
