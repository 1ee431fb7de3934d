import { join } from "node:path";
import { openImageStore, type ImageStore, type ImageStoreOptions } from "../../../../../lib/image/far";
import { bytesOf, scratch } from "../../support/images";
import { fiveBlocks } from "./segments";

/** Stores for the tests of one file, each in a directory of its own. */
export class TestStores {
  private readonly directory = scratch();
  private readonly opened: ImageStore[] = [];
  private number = 0;

  /** Of a store that is not there yet. */
  newPath(): string {
    return join(this.directory.path, `store-${++this.number}`);
  }

  async open(path = this.newPath(), options: Partial<ImageStoreOptions> = {}): Promise<ImageStore> {
    const store = await openImageStore({ directory: path, site: "cloud", ...options });
    this.opened.push(store);
    return store;
  }

  /** For `afterEach`. */
  readonly closeAll = async (): Promise<void> => {
    for (const store of this.opened.splice(0)) await store.close();
  };

  /** For `afterAll`. */
  readonly remove = (): void => this.directory.remove();
}

/** Stores that are closed after each test, on disks that work again, and removed after all. */
export function testStores(): TestStores {
  const stores = new TestStores();
  afterEach(() => {
    jest.restoreAllMocks();
    return stores.closeAll();
  });
  afterAll(stores.remove);
  return stores;
}

/** An image of five blocks and a bit. */
export function imageOf(seed: number): Buffer {
  return fiveBlocks(bytesOf, seed);
}

/** The names of an image's files begin so. */
export function hexOf(digest: string): string {
  return digest.slice("sha256:".length);
}
