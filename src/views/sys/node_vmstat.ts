/**
 * /sys/devices/system/node/nodeN/{vmstat,numastat}: a node's part of /proc/vmstat, in pages. What no
 * cgroup counts by node (hits and misses, events) is 0, as it is there.
 *
 *     nr_free_pages 924610
 *     numa_hit 29747753
 */
import { parseKeyedNumbers } from "../../host/keyed_numbers.ts";
import type { Machine } from "../../machine/machine.ts";
import { nodeMemoryOf } from "../../machine/node_memory.ts";
import { vmstatAmount } from "../vmstat_amounts.ts";

/** @returns `undefined` without a memory controller or without that node */
export function nodeVmstat(machine: Machine, node: number, name: string): string | undefined {
  const bytes = nodeMemoryOf(machine, node);
  const hostText = machine.host.sysText(`devices/system/node/node${node}/${name}`);
  if (bytes === undefined || hostText === undefined) return undefined;
  let text = "";
  for (const line of parseKeyedNumbers(hostText).names) {
    text += `${line} ${vmstatAmount(line, bytes, machine.host) ?? 0}\n`;
  }
  return text;
}
