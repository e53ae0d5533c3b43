/**
 * NUMA nodes, `/sys/devices/system/node`, Documentation/ABI/stable/sysfs-devices-node:
 *
 *     online            0-1
 *     node0/cpulist     0-7,16-23
 *     node0/distance    10 21
 *     node0/meminfo     Node 0 MemTotal:        4024524 kB
 *                       Node 0 HugePages_Total:     0
 *
 * As in /proc/meminfo the unit is KiB and the lines are the kernel's own choice. A kernel without
 * NUMA does not have the directory.
 */
import { readFile } from "../sys/read.ts";
import { parseCpuList } from "./cpu_list.ts";
import { type KeyedNumbers, parseKeyedNumbers } from "./keyed_numbers.ts";
import { ParseError } from "./parse_error.ts";

const DIRECTORY = "devices/system/node";

/** Numbers of the nodes that are online. @throws on a missing file, ParseError on a malformed one */
export function readOnlineNodes(sysRoot: string): number[] {
  return parseCpuList(readFile(`${sysRoot}/${DIRECTORY}/online`), "node list");
}

/** CPUs of a node that are online. @throws on a missing file, ParseError on a malformed one */
export function readNodeCpus(sysRoot: string, node: number): number[] {
  return parseCpuList(readFile(`${sysRoot}/${DIRECTORY}/node${node}/cpulist`));
}

/** @throws on a missing file, ParseError on a malformed one */
export function readNodeMeminfo(sysRoot: string, node: number): KeyedNumbers {
  return parseNodeMeminfo(readFile(`${sysRoot}/${DIRECTORY}/node${node}/meminfo`));
}

/** Names without `Node N` and colon, values in KiB. @throws ParseError without MemTotal */
export function parseNodeMeminfo(text: string, like?: KeyedNumbers): KeyedNumbers {
  const meminfo = parseKeyedNumbers(text.replace(/^Node \d+ /gm, ""), like);
  if (meminfo.indexOf("MemTotal") < 0) {
    throw new ParseError("node meminfo", "a line Node N MemTotal:", text);
  }
  return meminfo;
}
