/** Images in an S3 bucket: pushed there, and pulled from there. */
export { Bucket, parseBucketAddress, type BucketAddress, type BucketOptions } from "./bucket";
export { ImageBucket } from "./image-bucket";
export { pullImage, type PullResult } from "./pull";
