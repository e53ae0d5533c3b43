/** `lxcfs serve ROLE`: the server process. Called by the holder only. */
import { configFromEnvironment } from "../daemon/config.ts";
import { ROLES, Server } from "../daemon/server.ts";
import { UsageError } from "./options.ts";
import { version } from "./version.ts";

export function run(args: readonly string[]): number {
  const role = ROLES.find((known) => known === args[0]);
  if (role === undefined) throw new UsageError(`serve takes one of ${ROLES.join(", ")}`);
  new Server(configFromEnvironment(process.env), role, version()).start();
  return 0;
}
