/**
 * /proc/uptime: seconds since the container's boot, and idle seconds of all its CPUs together.
 *
 *     3941.22 7310.05
 */
import type { View } from "../view.ts";

export const uptime: View = {
  path: "proc/uptime",
  local: 34,
  mode: 0o444,
  render(machine) {
    if (!machine.hasStarted()) return undefined;
    return `${hundredths(machine.uptimeSeconds())} ${hundredths(machine.idleSeconds())}\n`;
  },
};

/** Two decimals, cut off as the kernel does. */
function hundredths(seconds: number): string {
  return (Math.floor(seconds * 100) / 100).toFixed(2);
}
