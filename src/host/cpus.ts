/**
 * Which CPUs the machine has, `/sys/devices/system/cpu`, Documentation/admin-guide/cputopology.rst:
 *
 *     online 0-3    present 0-3    possible 0-127    offline 4-127    kernel_max 8191
 *
 * Possible: may ever be plugged in. Present: is plugged in. Online: is in use.
 */
import { readFile } from "../sys/read.ts";
import { parseCpuList } from "./cpu_list.ts";

const DIRECTORY = "devices/system/cpu";

/** @throws on a missing file, ParseError on a malformed one */
export function readOnlineCpus(sysRoot: string): number[] {
  return parseCpuList(readFile(`${sysRoot}/${DIRECTORY}/online`), "online CPUs");
}

/** @throws on a missing file, ParseError on a malformed one */
export function readPossibleCpus(sysRoot: string): number[] {
  return parseCpuList(readFile(`${sysRoot}/${DIRECTORY}/possible`), "possible CPUs");
}
