/** What bounds the CPUs that a container is shown, as its pod asks for it. Pure. */
import type { Pod, Resources } from "../api/objects.ts";
import { CPU_POLICY, isCpuPolicy } from "../names.ts";

/** As many CPUs as it requests. The server knows cgroups only: their weight does not tell that. */
const REQUEST = "request";

const UNITS: Readonly<Record<string, number>> = { "": 1, m: 1e-3, u: 1e-6, n: 1e-9 };

/** Whether the container's name has to be known. */
export function asksForRequest(pod: Pod): boolean {
  return pod.metadata?.annotations?.[CPU_POLICY] === REQUEST;
}

/** @returns what the server is told for this container; nothing where its own option holds */
export function cpuPolicyOf(pod: Pod, container: string): string | undefined {
  const policy = pod.metadata?.annotations?.[CPU_POLICY];
  if (policy === undefined || !isCpuPolicy(policy)) return undefined;
  if (policy !== REQUEST) return policy;
  const { containers, initContainers, ephemeralContainers, resources } = pod.spec ?? {};
  const found = [containers, initContainers, ephemeralContainers]
    .flatMap((kind) => kind ?? [])
    .find(({ name }) => name === container);
  // What a container has no request of its own for, it takes of its pod's.
  const cpus = requested(found?.resources) ?? requested(resources);
  return cpus === undefined ? undefined : `cpus=${Math.max(1, Math.ceil(cpus))}`;
}

/** In CPUs. A limit without a request is one, too. */
function requested(resources: Resources | null | undefined): number | undefined {
  const text = resources?.requests?.cpu ?? resources?.limits?.cpu;
  const [, number, unit = ""] = /^(\d+(?:\.\d*)?|\.\d+)([mun]?)$/.exec(text ?? "") ?? [];
  return number === undefined ? undefined : Number(number) * (UNITS[unit] ?? 1);
}
