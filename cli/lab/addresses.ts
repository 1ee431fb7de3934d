/** The two sites of a lab: loopback addresses, because a DNS answer carries an address and no port. */
export const LAB_ADDRESSES = { onprem: "127.0.1.1", cloud: "127.0.2.1" } as const;
