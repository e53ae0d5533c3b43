/**
 * /sys/devices/system/node/{online,possible,has_cpu,has_memory,has_normal_memory}
 * (Documentation/ABI/stable/sysfs-devices-node): the NUMA nodes that the container may use.
 *
 *     0-1
 */
import { formatCpuList } from "../../host/cpu_list.ts";
import { nodeCpus, nodesOf } from "../../machine/nodes.ts";
import type { Machine } from "../../machine/machine.ts";
import type { View } from "../view.ts";

function nodeList(name: string, local: number, choose: (machine: Machine) => number[]): View {
  return {
    path: `sys/devices/system/node/${name}`,
    local,
    mode: 0o444,
    render(machine) {
      return `${formatCpuList(choose(machine))}\n`;
    },
  };
}

export const onlineNodes: View = nodeList("online", 56, nodesOf);
export const possibleNodes: View = nodeList("possible", 57, nodesOf);
export const memoryNodes: View = nodeList("has_memory", 58, nodesOf);
export const normalMemoryNodes: View = nodeList("has_normal_memory", 59, nodesOf);
export const cpuNodes: View = nodeList("has_cpu", 60, (machine) =>
  nodesOf(machine).filter((node) => nodeCpus(machine, node).length > 0),
);
