/** The provider's version: the package's, repeated because the provider is shipped as one file. A test holds the two together. */
export const VERSION = "0.1.0";
