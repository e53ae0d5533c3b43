/**
 * /proc/loadavg: load over 1, 5 and 15 minutes, runnable and all threads, the youngest pid.
 *
 *     0.42 0.17 0.05 1/12 34
 */
import type { View } from "../view.ts";

export const loadavg: View = {
  path: "proc/loadavg",
  local: 35,
  mode: 0o444,
  render(machine) {
    if (!machine.settings.loadavg) return undefined;
    const load = machine.load();
    const [one, five, fifteen] = load.averages.map((average) => average.toFixed(2));
    // Whoever reads this is running, though it waits for the answer while its threads are counted.
    const running = load.running + 1;
    return `${one} ${five} ${fifteen} ${running}/${Math.max(running, load.threads)} ${load.lastPid}\n`;
  },
};
