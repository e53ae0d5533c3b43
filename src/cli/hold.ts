/** `lxcfs hold`: the holder of a connection that was inherited. Called by a server that lost its own. */
import { configFromEnvironment } from "../daemon/config.ts";
import { becomeHolder } from "../daemon/front.ts";
import { takePidfile } from "../daemon/pidfile.ts";
import { openState } from "../daemon/state.ts";

export function run(): never {
  const config = configFromEnvironment(process.env);
  const state = openState(config.stateFd);
  const lockFd = takePidfile(config.pidfile, process.pid);
  return becomeHolder({ ...config, lockFd }, state.get("serverPid"));
}
