/** Finds the mount that a subcommand is about, and asks its server. */
import { askStatus } from "../daemon/control.ts";
import { lxcfsMountpoints, mountpointPath } from "../daemon/mountpoint.ts";
import { controlSocketPath } from "../daemon/paths.ts";
import type { Status } from "../daemon/status.ts";
import { CommandError, EXIT } from "./attach_common.ts";

/** Status of the mount at `mountpoint`, or of the only one there is. @throws CommandError */
export async function findStatus(
  mountpoint: string | undefined,
  runtimeDir: string,
): Promise<Status> {
  if (mountpoint !== undefined) return await ask(mountpointPath(mountpoint), runtimeDir);
  const mountpoints = [...new Set(lxcfsMountpoints())];
  const answers: Status[] = [];
  for (const path of mountpoints) {
    try {
      answers.push(await ask(path, runtimeDir));
    } catch {
      // Served by something else, or not at all: not the one that is asked about.
    }
  }
  const [only, ...others] = answers;
  if (only === undefined) {
    throw new CommandError(
      EXIT.noServer,
      mountpoints.length === 0
        ? "no lxcfs is mounted: start one with `lxcfs /var/lib/lxcfs`"
        : `no lxcfs-ts answers at ${mountpoints.join(", ")}; if it was started with --runtime-dir, give that here too`,
    );
  }
  if (others.length > 0) {
    const paths = answers.map((status) => status.mountpoint);
    throw new CommandError(
      EXIT.usage,
      `more than one lxcfs is mounted: say which of ${paths.join(", ")}`,
    );
  }
  return only;
}

async function ask(mountpoint: string, runtimeDir: string): Promise<Status> {
  try {
    return await askStatus(controlSocketPath(runtimeDir, mountpoint));
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new CommandError(
      EXIT.noServer,
      `no lxcfs-ts answers for ${mountpoint} (${cause}); if it was started with --runtime-dir, give that here too`,
    );
  }
}
