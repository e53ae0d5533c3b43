/**
 * Cgroup paths by which the usual runtimes name their containers. Used only where the kernel itself
 * does not tell where a container begins (no cgroup namespace, no init of its own below the path).
 *
 *   /kubepods/burstable/pod0f0e.../4a53...                                 kubelet, cgroupfs driver
 *   /kubepods.slice/kubepods-pod0f0e.slice/cri-containerd-4a53....scope    kubelet, systemd driver
 *   /system.slice/docker-4a53....scope, /docker/4a53...                    Docker
 *   /machine.slice/libpod-4a53....scope/container                          podman
 *   /lxc.payload.web/init.scope, /lxc/web                                  LXC
 *   /machine.slice/systemd-nspawn@web.service/payload                      systemd-nspawn
 */

export interface Scope {
  /** The container's cgroup: the matched part of the path. */
  readonly path: string;
  /** Which runtime names its cgroups like that. */
  readonly runtime: string;
  /** The runtime's own name or id of the container. */
  readonly name: string;
}

/** One path component, or two of them, that name a container. `name` is the first group. */
const COMPONENTS: readonly { readonly runtime: string; readonly pattern: RegExp }[] = [
  { runtime: "containerd", pattern: /^cri-containerd-([0-9a-f]{12,64})\.scope$/ },
  { runtime: "crio", pattern: /^crio-([0-9a-f]{12,64})(?:\.scope)?$/ },
  { runtime: "docker", pattern: /^docker-([0-9a-f]{12,64})\.scope$/ },
  { runtime: "podman", pattern: /^libpod-([0-9a-f]{12,64})(?:\.scope)?$/ },
  { runtime: "containerd", pattern: /^nerdctl-([0-9a-f]{12,64})\.scope$/ },
  { runtime: "lxc", pattern: /^lxc\.payload\.(.+)$/ },
  { runtime: "nspawn", pattern: /^systemd-nspawn@(.+)\.service$/ },
  { runtime: "nspawn", pattern: /^machine-(.+)\.scope$/ },
];

/** Parents whose direct children are containers. */
const PARENTS: readonly { readonly runtime: string; readonly pattern: RegExp }[] = [
  { runtime: "docker", pattern: /^docker$/ },
  { runtime: "lxc", pattern: /^lxc(?:\.payload)?$/ },
  { runtime: "podman", pattern: /^libpod_parent$/ },
  { runtime: "kubernetes", pattern: /^pod[0-9a-f]{8}-?[0-9a-f-]{4,28}$/ },
  { runtime: "kubernetes", pattern: /^kubepods(?:-[a-z]+)?-pod[0-9a-f_]{32,36}\.slice$/ },
];

/**
 * The innermost container scope at or above `path`, or `undefined` if no runtime names it so.
 * The innermost is the caller's own: a container in a container carries both names.
 */
export function nearestScope(path: string): Scope | undefined {
  const parts = path.split("/");
  for (let depth = parts.length - 1; depth > 0; depth--) {
    const part = parts[depth] ?? "";
    const here = parts.slice(0, depth + 1).join("/");
    for (const { runtime, pattern } of COMPONENTS) {
      const name = pattern.exec(part)?.[1];
      if (name !== undefined) return { path: here, runtime, name };
    }
    const parent = parts[depth - 1] ?? "";
    for (const { runtime, pattern } of PARENTS) {
      if (pattern.test(parent) && !pattern.test(part)) return { path: here, runtime, name: part };
    }
  }
  return undefined;
}
