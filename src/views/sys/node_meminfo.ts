/**
 * /sys/devices/system/node/nodeN/meminfo: a node's part of /proc/meminfo. Where the kernel accounts
 * a figure by node (`memory.numa_stat`) it is that; the rest is divided as the host's memory is, so
 * that all nodes together make /proc/meminfo.
 *
 *     Node 0 MemTotal:        4024524 kB
 *     Node 0 HugePages_Total:     0
 */
import { meminfoHasUnit } from "../../host/meminfo.ts";
import { parseNodeMeminfo } from "../../host/node.ts";
import type { Machine } from "../../machine/machine.ts";
import { nodeShare } from "../../machine/nodes.ts";

/** meminfo's names of what `memory.numa_stat` (cgroup v2's names) tells by node. */
export const BY_NODE: Readonly<Record<string, string>> = {
  "Active(anon)": "active_anon",
  "Inactive(anon)": "inactive_anon",
  "Active(file)": "active_file",
  "Inactive(file)": "inactive_file",
  Unevictable: "unevictable",
  AnonPages: "anon",
  FilePages: "file",
  Mapped: "file_mapped",
  Dirty: "file_dirty",
  Writeback: "file_writeback",
  Shmem: "shmem",
  KernelStack: "kernel_stack",
  PageTables: "pagetables",
  SReclaimable: "slab_reclaimable",
  SUnreclaim: "slab_unreclaimable",
  AnonHugePages: "anon_thp",
};

/** @returns `undefined` without a memory controller or without that node */
export function nodeMeminfo(machine: Machine, node: number): string | undefined {
  const fields = machine.meminfo();
  const hostText = machine.host.sysText(`devices/system/node/node${node}/meminfo`);
  if (fields === undefined || hostText === undefined) return undefined;
  const host = parseNodeMeminfo(hostText);
  const share = nodeShare(machine, node);
  const own = machine.numa()?.get(node);
  const bytes = (name: string): number => {
    const counted = own?.[BY_NODE[name] ?? ""];
    if (counted !== undefined) return counted;
    if (name === "MemUsed") return bytes("MemTotal") - bytes("MemFree");
    if (name === "FilePages") return (fields.get("Cached") ?? 0) * share;
    if (name === "Active") return bytes("Active(anon)") + bytes("Active(file)");
    if (name === "Inactive") return bytes("Inactive(anon)") + bytes("Inactive(file)");
    if (name === "Slab") return bytes("SReclaimable") + bytes("SUnreclaim");
    return Math.floor((fields.get(name) ?? 0) * share);
  };
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
