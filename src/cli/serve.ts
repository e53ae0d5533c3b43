/** `lxcfs serve ROLE`: the server process. Called by the holder only. */
import { configFromEnvironment } from "../daemon/config.ts";
import { ROLES, Server } from "../daemon/server.ts";
import { UsageError } from "./options.ts";
import { version } from "./version.ts";

export async function run(args: readonly string[]): Promise<number> {
  const role = ROLES.find((known) => known === args[0]);
  if (role === undefined) throw new UsageError(`serve takes one of ${ROLES.join(", ")}`);
  const server = new Server(configFromEnvironment(process.env), role, version());
  const uncaught = (thrown: unknown): void => server.uncaught(thrown);
  process.on("uncaughtException", uncaught);
  process.on("unhandledRejection", uncaught);
  try {
    await server.start();
  } catch (error) {
    server.fail(error instanceof Error ? error.message : String(error));
  }
  return 0;
}
