/**
 * A stable place in [0, 1) for a key. Cohorts made of it nest: whoever is below 0.2 is below 0.5, so that raising a share never
 * chooses another crowd.
 */
export function cohortOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  }
  // FNV-1a leaves the high bits of similar keys (one address, neighbouring ports) alike; this mix (MurmurHash3) spreads them.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 0x1_0000_0000;
}
