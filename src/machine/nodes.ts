/** NUMA nodes of a container: those its memory may come from, with the host's numbers. */
import { parseCpuList } from "../host/cpu_list.ts";
import type { Machine } from "./machine.ts";
import { toContainerCpus } from "./topology.ts";

const NODE_DIRECTORY = "devices/system/node";

/** Numbers of the nodes, ascending; empty on a kernel without NUMA. */
export function nodesOf(machine: Machine): number[] {
  const text = machine.host.sysText(`${NODE_DIRECTORY}/online`);
  if (text === undefined) return [];
  const online = parseCpuList(text, "node list");
  const allowed = machine.container.cgroups.memoryNodes();
  const nodes = allowed === undefined ? online : online.filter((node) => allowed.includes(node));
  return nodes.length > 0 ? nodes : online;
}

/** The container's CPUs (in its own numbers) of a node. */
export function nodeCpus(machine: Machine, node: number): number[] {
  const text = machine.host.sysText(`${NODE_DIRECTORY}/node${node}/cpulist`);
  return text === undefined ? [] : toContainerCpus(machine.topology(), parseCpuList(text));
}

/**
 * The share of the container's memory that a node has, from 0 to 1: a limit is for all nodes
 * together, so it is divided as the host's memory is.
 */
export function nodeShare(machine: Machine, node: number): number {
  let total = 0;
  let own = 0;
  for (const each of nodesOf(machine)) {
    const text = machine.host.sysText(`${NODE_DIRECTORY}/node${each}/meminfo`) ?? "";
    const kib = Number(/MemTotal:\s+(\d+)/.exec(text)?.[1] ?? 0);
    total += kib;
    if (each === node) own = kib;
  }
  return total === 0 ? 0 : own / total;
}
