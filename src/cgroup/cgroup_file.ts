/** A file of a cgroup, kept open. The kernel writes each in one piece, lists of processes excepted. */
import { HeldFile } from "../sys/held_file.ts";

/** Not for `cgroup.procs`, `cgroup.threads` and `tasks`. */
export function cgroupFile(path: string): HeldFile {
  return new HeldFile(path, { oneRecord: true });
}
