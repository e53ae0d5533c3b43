/** What is known of the containers of a machine, whatever runs them. */

/** A running container. */
export interface FoundContainer {
  /** `docker`, `podman`, `containerd`, `crio`, `kubernetes`, `lxc`, `nspawn`, `runc` or `crun`. */
  readonly runtime: string;
  /** What the runtime itself calls it: a hexadecimal id, or a name where names are its ids. */
  readonly id: string;
  /** What people call it; the id where it has no name. */
  readonly name: string;
  /** Its first process, as the host numbers it. */
  readonly pid: number;
}

/** Where things are found. Other roots than the machine's own serve tests. */
export interface MachineRoots {
  readonly proc: string;
  readonly run: string;
  readonly varLib: string;
}

export const MACHINE_ROOTS: MachineRoots = { proc: "/proc", run: "/run", varLib: "/var/lib" };

/** Processes whose cgroup is named as a runtime names its containers. */
export interface ScopedContainer {
  readonly runtime: string;
  /** The name or id in the cgroup's name. */
  readonly name: string;
  readonly pid: number;
}

/** One runtime: finds its containers without calling its programs. */
export interface Runtime {
  find(roots: MachineRoots, scoped: readonly ScopedContainer[]): FoundContainer[];
}
