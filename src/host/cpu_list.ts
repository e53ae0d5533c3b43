/**
 * Lists and masks of CPU (and NUMA node) numbers as the kernel writes them,
 * Documentation/admin-guide/cputopology.rst and bitmap_print_to_pagebuf():
 *
 *     0-3,8-11        cpuset.cpus, /sys/devices/system/cpu/online, Cpus_allowed_list
 *     00000001,ffffffff   masks: groups of 32 bits, most significant first
 */
import { ParseError } from "./parse_error.ts";
import { Scanner } from "./scanner.ts";

/** Above what any kernel can be built for (NR_CPUS up to 8192, NODES_SHIFT up to 10). */
const MAX_NUMBER = 65535;

/**
 * Numbers of a list, ascending, each once. An empty text is an empty list.
 * @throws ParseError on anything but numbers and ranges
 */
export function parseCpuList(text: string, file = "CPU list"): number[] {
  const scanner = new Scanner(file, text.trim());
  const numbers: number[] = [];
  let ascending = true;
  while (!scanner.atEnd()) {
    const first = scanner.needNumber("a CPU number");
    const last = scanner.take("-") ? scanner.needNumber("the last CPU of a range") : first;
    if (last < first || last > MAX_NUMBER) throw new ParseError(file, "a CPU range", text);
    // The `4-15:2/4` form (two of every four) is accepted by the kernel, which never prints it.
    if (first <= (numbers.at(-1) ?? -1)) ascending = false;
    if (numbers.length > MAX_NUMBER) throw new ParseError(file, "each CPU once", text);
    for (let number = first; number <= last; number++) numbers.push(number);
    if (!scanner.atEnd()) scanner.need(",");
  }
  return ascending ? numbers : [...new Set(numbers)].sort((a, b) => a - b);
}

/** The kernel's form of ascending numbers: `0-3,5`; empty for none. */
export function formatCpuList(numbers: Iterable<number>): string {
  let text = "";
  let first = -1;
  let last = -1;
  for (const number of numbers) {
    if (number === last + 1 && first >= 0) {
      last = number;
      continue;
    }
    if (first >= 0) text += `${range(first, last)},`;
    first = number;
    last = number;
  }
  return first < 0 ? text : text + range(first, last);
}

function range(first: number, last: number): string {
  return first === last ? String(first) : `${first}-${last}`;
}

/** Numbers whose bits are set in a mask, ascending. @throws ParseError on anything but hex groups */
export function parseCpuMask(text: string, file = "CPU mask"): number[] {
  const groups = text.trim().split(",");
  if (groups.length > (MAX_NUMBER + 1) / 32) throw new ParseError(file, "a CPU mask", text);
  const numbers: number[] = [];
  groups.reverse().forEach((group, i) => {
    if (!/^[0-9a-fA-F]{1,8}$/.test(group)) throw new ParseError(file, "a CPU mask", text);
    const bits = Number.parseInt(group, 16);
    for (let bit = 0; bit < 32; bit++) if ((bits >>> bit) & 1) numbers.push(i * 32 + bit);
  });
  return numbers;
}

/**
 * The kernel's form of a mask that has room for `width` CPUs: groups of eight digits, the first as
 * short as the width leaves it (`f` for 4 CPUs, `3,ffffffff` for 34).
 */
export function formatCpuMask(numbers: Iterable<number>, width: number): string {
  const groups = new Uint32Array(Math.max(1, Math.ceil(width / 32)));
  for (const number of numbers) {
    const group = number >>> 5;
    if (group < groups.length) groups[group] = (groups[group] ?? 0) | (1 << (number & 31));
  }
  const digits = Math.ceil((((width - 1) & 31) + 1) / 4);
  const parts = [...groups].map((bits) => bits.toString(16).padStart(8, "0")).reverse();
  parts[0] = parts[0]?.slice(8 - digits) ?? "0";
  return parts.join(",");
}
