/**
 * /proc/pressure/{cpu,memory,io} (Documentation/accounting/psi.rst): the container's own pressure,
 * word for word as the kernel shows it in the cgroup.
 *
 *     some avg10=0.00 avg60=0.00 avg300=0.00 total=0
 *     full avg10=0.00 avg60=0.00 avg300=0.00 total=0
 */
import type { PressureResource } from "../../cgroup/types.ts";
import type { View } from "../view.ts";

function pressure(resource: PressureResource, local: number): View {
  return {
    path: `proc/pressure/${resource}`,
    local,
    mode: 0o444,
    render(machine) {
      return machine.container.cgroups.pressure(resource);
    },
  };
}

export const cpuPressure: View = pressure("cpu", 40);
export const memoryPressure: View = pressure("memory", 41);
export const ioPressure: View = pressure("io", 42);
