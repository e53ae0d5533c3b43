/**
 * The three cgroup layouts that systemd knows, and the kernel arguments that bring each about
 * (kernel-command-line(7), Documentation/admin-guide/kernel-parameters.txt).
 */

/** v2: one unified hierarchy. v1: a hierarchy per controller. hybrid: v1, and v2 beside it without controllers. */
export type Layout = "v2" | "v1" | "hybrid";

export const layouts: readonly Layout[] = ["v2", "v1", "hybrid"];

/** systemd 256 and later take a v1 layout only with this said as well; older ones ignore it. */
const force = "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1";

/** Kernel arguments by layout. */
export const kernelArguments: Readonly<Record<Layout, string>> = {
  v2: "cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1",
  v1: `systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1 ${force}`,
  hybrid: `systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=0 ${force}`,
};

/** Reads a layout from a command line, throwing RangeError for anything else. */
export function parseLayout(text: string): Layout {
  const found = layouts.find((layout) => layout === text);
  if (found === undefined) {
    throw new RangeError(`Cannot boot layout "${text}": must be one of ${layouts.join(", ")}`);
  }
  return found;
}
