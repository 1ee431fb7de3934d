import { SpillwayError } from "../../../lib/errors";
import { verifySnapshot, type SnapshotService } from "../../../lib/image/snapshot";
import { findSnapshot } from "../../../lib/steps";
import type { StepContext } from "../../../lib/wait";
import { EbsService } from "../../../providers/aws/ebs";
import type { OpenRegion } from "./target";

/** @param region empty: as the AWS SDK finds it @throws SnapshotError */
export async function openRegion(
  region: string,
  { endpointUrl }: { readonly endpointUrl?: string },
): Promise<OpenRegion> {
  if (endpointUrl) process.env.AWS_ENDPOINT_URL = endpointUrl;
  const snapshots = await EbsService.open({ region: region || undefined });
  return {
    snapshots,
    name: `ebs:${snapshots.region}`,
    verify: (digest, context) => verifyNewest(snapshots, digest, context),
    close: () => snapshots.close(),
  };
}

async function verifyNewest(service: SnapshotService, digest: string, context: StepContext) {
  const snapshot = await findSnapshot(service, { digest }, context);
  if (snapshot) return verifySnapshot({ service, snapshot, digest, context });
  throw new SpillwayError({
    place: service.place,
    problem: `there is no complete snapshot of the image ${digest}`,
    mend: "Push it there first, or correct the digest or the region.",
  });
}
