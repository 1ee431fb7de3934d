export { LocalNameServer, type LocalNameServerOptions } from "./local-name-server";
