/**
 * `lxcfs cpu-policy PID|CONTAINER... [cpuset|quota|none|cpus=N|default]`: shows or sets what bounds the
 * CPUs that a container is shown, apart from the mount's own policy. It is kept on the container's cgroup
 * by the kernel, so it holds at the next read, needs no server, and goes with the container.
 */
import { CallerResolver } from "../caller/resolver.ts";
import { ContainerRegistry } from "../caller/registry.ts";
import type { Container } from "../caller/container.ts";
import { detectLayout } from "../cgroup/layout.ts";
import { readPageBytes } from "../host/page_size.ts";
import { parseOwnCpuPolicy } from "../machine/topology.ts";
import { SystemClock } from "../sys/clock.ts";
import { readFile } from "../sys/read.ts";
import { command, CommandError, EXIT, findSubjects } from "./attach_common.ts";

/** As the mount says. */
const DEFAULT = "default";

export async function run(args: readonly string[]): Promise<number> {
  return await command("cpu-policy", async () => {
    const last = args.at(-1) ?? "";
    const isPolicy = last === DEFAULT || parseOwnCpuPolicy(last) !== undefined;
    const policy = isPolicy ? last : undefined;
    const names = policy === undefined ? args : args.slice(0, -1);
    const strange = names.find((name) => name.startsWith("-"));
    if (strange !== undefined) throw new CommandError(EXIT.usage, `unknown option ${strange}`);
    const resolver = createResolver();
    for (const { pid, label } of findSubjects(names, false)) {
      const container = containerOf(resolver, pid, label);
      if (policy !== undefined) container.setCpuPolicy(policy === DEFAULT ? "" : policy);
      process.stdout.write(`${label}: ${container.cpuPolicy() ?? DEFAULT}\n`);
    }
    resolver.close();
    return await Promise.resolve(0);
  });
}

function containerOf(resolver: CallerResolver, pid: number, label: string): Container {
  const container = resolver.resolve(pid);
  if (container === undefined) {
    throw new CommandError(EXIT.unknown, `${label} is in no container: it sees the host's CPUs`);
  }
  return container;
}

function createResolver(): CallerResolver {
  const layout = detectLayout(readFile("/proc/self/mountinfo"));
  const registry = new ContainerRegistry({
    procRoot: "/proc",
    layout,
    root: "",
    pageBytes: readPageBytes("/proc"),
    maxContainers: 512,
  });
  const clock = new SystemClock();
  return new CallerResolver({
    procRoot: "/proc",
    layout,
    registry,
    clock,
    freshnessMs: 0,
    maxNamespaces: 64,
  });
}
