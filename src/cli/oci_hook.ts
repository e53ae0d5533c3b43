/**
 * `lxcfs oci-hook`: attaches to the container whose OCI state is on stdin, at the createRuntime or
 * prestart stage. Whatever goes wrong, the container starts: the code is always 0.
 *
 * `share/oci-hook` does the same without starting Node.js; this one is for hosts that lack the
 * programs it needs.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { containerNames } from "../attach/identity.ts";
import { parseOciState, readBundleRoot, rootInNamespace } from "../attach/oci.ts";
import { AttachPool } from "../attach/pool.ts";
import { bindingsFor } from "../attach/served.ts";
import { Logger } from "../sys/log.ts";
import { exitNow } from "../sys/native.ts";
import { findMountPoint } from "./attach_common.ts";

const TIME_LIMIT_MS = 2000;

export async function run(args: readonly string[]): Promise<number> {
  const log = new Logger();
  try {
    const { values } = parseArgs({ args: [...args], options: { mountpoint: { type: "string" } } });
    const { pid, bundle, id } = parseOciState(readFileSync(0, "utf8"));
    const mountPoint = await findMountPoint(values.mountpoint);
    const rootfs = rootInNamespace("/proc", pid, readBundleRoot(bundle));
    const names = containerNames("/proc");
    const bindings = bindingsFor(mountPoint, names.nameOf(pid));
    names.close();
    const pool = new AttachPool({ threads: 1, timeLimitMs: TIME_LIMIT_MS });
    const job = { kind: "attach", pid, bindings, rootfs, deadDevices: [] } as const;
    const { status, message } = await pool.run({ ...job, dryRun: false, procRoot: "/proc" });
    if (status !== "done") log.warn("container starts without its files", { id, cause: message });
    exitNow(0);
  } catch (thrown) {
    const cause = thrown instanceof Error ? thrown.message : String(thrown);
    log.warn("container starts without its files", { cause });
  }
  return 0;
}
