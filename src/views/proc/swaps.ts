/**
 * /proc/swaps: what the container may swap to, as one area without a name of its own.
 *
 *     Filename				Type		Size		Used		Priority
 *     none                                    virtual		1048576		2048		0
 */
import type { View } from "../view.ts";

const HEADER = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

export const swaps: View = {
  path: "proc/swaps",
  local: 36,
  mode: 0o444,
  render(machine) {
    const swap = machine.swap();
    if (swap === undefined) return undefined;
    if (swap.totalBytes === 0) return HEADER;
    const sizeKib = Math.floor(swap.totalBytes / 1024);
    // The same rounding as meminfo: Used is SwapTotal - SwapFree.
    const usedKib = sizeKib - Math.floor(swap.freeBytes / 1024);
    return `${HEADER}${"none".padEnd(40)}virtual\t\t${sizeKib}\t\t${usedKib}\t\t0\n`;
  },
};
