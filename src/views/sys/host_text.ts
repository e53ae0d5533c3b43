/**
 * The host's text of a sysfs file, as it reads in a container: lists and masks of CPUs name the
 * container's CPUs by the container's numbers, all else is the same for both.
 */
import { formatCpuList, formatCpuMask, parseCpuList, parseCpuMask } from "../../host/cpu_list.ts";
import type { Machine } from "../../machine/machine.ts";
import { toContainerCpus } from "../../machine/topology.ts";

/** Files whose text is a list such as `0-3`. */
const LISTS = /(?:_list|^isolated|^nohz_full|cpulist|shared_cpu_list)$/;
/** Files whose text is a mask such as `0000000f`. */
const MASKS = /(?:_cpus|_siblings|shared_cpu_map|cpumap)$/;
/** What kernels without a full-tickless CPU say in `nohz_full`, with a blank in front for each further CPU. */
const NO_LIST = "(null)";
/** cpufreq names CPUs one by one, between spaces. */
const SPACED = /cpufreq\/(?:affected|related|freqdomain)_cpus$/;

/** Whether a file of that name tells of CPUs by their numbers. */
export function namesCpus(name: string): boolean {
  return LISTS.test(name) || MASKS.test(name) || SPACED.test(name);
}

/**
 * @param name path below the directory of the CPU or node, for telling lists and masks
 * @param text the host's
 * @throws ParseError if a list or mask is malformed
 */
export function toContainerText(machine: Machine, name: string, text: string): string {
  if (SPACED.test(name)) {
    const cpus = text.trim().split(/\s+/).filter(Boolean).map(Number);
    return `${toContainerCpus(machine.topology(), cpus).join(" ")} \n`;
  }
  if (LISTS.test(name) && text.trim() !== NO_LIST) {
    return `${formatCpuList(toContainerCpus(machine.topology(), parseCpuList(text)))}\n`;
  }
  if (MASKS.test(name)) {
    const cpus = toContainerCpus(machine.topology(), parseCpuMask(text));
    // As wide as the host's: the kernel's masks have a fixed width.
    return `${formatCpuMask(cpus, text.trim().replaceAll(",", "").length * 4)}\n`;
  }
  return text;
}
