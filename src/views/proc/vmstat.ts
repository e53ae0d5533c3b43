/**
 * /proc/vmstat: amounts in pages, events since the container's start; the host's lines in the host's
 * order. What no cgroup counts is 0, which is less wrong for a container than the host's figure.
 *
 *     nr_free_pages 6111347
 *     pgfault 1997780
 */
import type { View } from "../view.ts";
import { vmstatAmount } from "../vmstat_amounts.ts";

const KIB = 1024;

export const vmstat: View = {
  path: "proc/vmstat",
  local: 44,
  mode: 0o444,
  render(machine) {
    const fields = machine.meminfo();
    const reading = machine.memory();
    if (fields === undefined || reading === undefined) return undefined;
    let readBytes = 0;
    let writeBytes = 0;
    for (const device of machine.io() ?? []) {
      readBytes += device.readBytes;
      writeBytes += device.writeBytes;
    }
    const bytes = (meminfoField: string): number => fields.get(meminfoField) ?? 0;
    const event = (name: string): number => {
      // The kernel counts these two in KiB, in spite of their names.
      if (name === "pgpgin") return Math.floor(readBytes / KIB);
      if (name === "pgpgout") return Math.floor(writeBytes / KIB);
      return reading.stat.events.get(name) ?? 0;
    };
    let text = "";
    for (const name of machine.host.vmstat().names) {
      text += `${name} ${vmstatAmount(name, bytes, machine.host) ?? event(name)}\n`;
    }
    return text;
  },
};
