/**
 * /proc/slabinfo: no kernel that is still maintained counts slab objects by cgroup (v1's
 * `memory.kmem.slabinfo` is empty since 5.9), so a container's table has its head and no rows. The
 * host's table would tell of the host, which keeps it for root (mode 0400); so does this one.
 */
import type { View } from "../view.ts";

const HEADER =
  "slabinfo - version: 2.1\n" +
  "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>" +
  " : tunables <limit> <batchcount> <sharedfactor>" +
  " : slabdata <active_slabs> <num_slabs> <sharedavail>\n";

export const slabinfo: View = {
  path: "proc/slabinfo",
  local: 37,
  mode: 0o400,
  render() {
    return HEADER;
  },
};
