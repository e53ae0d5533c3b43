/**
 * /sys/devices/system/node/nodeN/meminfo: a node's part of /proc/meminfo.
 *
 *     Node 0 MemTotal:        4024524 kB
 *     Node 0 HugePages_Total:     0
 */
import { meminfoHasUnit } from "../../host/meminfo.ts";
import { parseNodeMeminfo } from "../../host/node.ts";
import type { Machine } from "../../machine/machine.ts";
import { nodeMemoryOf } from "../../machine/node_memory.ts";

/** @returns `undefined` without a memory controller or without that node */
export function nodeMeminfo(machine: Machine, node: number): string | undefined {
  const bytes = nodeMemoryOf(machine, node);
  const hostText = machine.host.sysText(`devices/system/node/node${node}/meminfo`);
  if (bytes === undefined || hostText === undefined) return undefined;
  const host = parseNodeMeminfo(hostText);
  let text = "";
  for (const [index, name] of host.names.entries()) {
    const counted = !meminfoHasUnit(name);
    const value = counted ? (host.values[index] ?? 0) : Math.floor(bytes(name) / 1024);
    const label = `Node ${node} ${name}:`.padEnd(23);
    const width = counted ? 6 : 31 - label.length;
    text += `${label}${String(value).padStart(width)}${counted ? "" : " kB"}\n`;
  }
  return text;
}
