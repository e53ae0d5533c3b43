/**
 * /sys/devices/system/cpu/{online,possible,present,offline}
 * (Documentation/ABI/testing/sysfs-devices-system-cpu): the container's CPUs, all of them online.
 *
 *     0-3
 */
import { formatCpuList } from "../../host/cpu_list.ts";
import type { View } from "../view.ts";

function cpuList(name: string, local: number): View {
  return {
    path: `sys/devices/system/cpu/${name}`,
    local,
    mode: 0o444,
    render(machine) {
      return `${formatCpuList(machine.topology().hostCpus.keys())}\n`;
    },
  };
}

export const onlineCpus: View = cpuList("online", 48);
export const possibleCpus: View = cpuList("possible", 49);
export const presentCpus: View = cpuList("present", 50);

export const offlineCpus: View = {
  path: "sys/devices/system/cpu/offline",
  local: 51,
  mode: 0o444,
  render() {
    return "\n";
  },
};
