/**
 * /proc/pressure/{cpu,memory,io} (Documentation/accounting/psi.rst): the container's own pressure,
 * word for word as the kernel shows it in the cgroup.
 *
 *     some avg10=0.00 avg60=0.00 avg300=0.00 total=0
 *     full avg10=0.00 avg60=0.00 avg300=0.00 total=0
 */
import type { PressureResource } from "../../cgroup/types.ts";
import type { View } from "../view.ts";

const RESOURCES = new Map<number, PressureResource>();

function pressure(resource: PressureResource, local: number): View {
  RESOURCES.set(local, resource);
  return {
    path: `proc/pressure/${resource}`,
    local,
    // As the kernel's: a trigger may be written, where the mount offers that.
    mode: 0o666,
    render(machine) {
      const text = machine.container.cgroups.pressure(resource);
      // Of a cgroup that is being removed, nothing may come: an empty file is no answer.
      return text?.startsWith("some ") ? text : undefined;
    },
  };
}

/** Whose pressure a file shows, by its number; `undefined` for any other file. */
export function pressureResourceOf(local: number): PressureResource | undefined {
  return RESOURCES.get(local);
}

export const cpuPressure: View = pressure("cpu", 40);
export const memoryPressure: View = pressure("memory", 41);
export const ioPressure: View = pressure("io", 42);
