/** All running containers of the machine, and one of them by what people call it. */
import { containerd } from "./containerd.ts";
import { crio } from "./crio.ts";
import { crun } from "./crun.ts";
import { docker } from "./docker.ts";
import { lxc } from "./lxc.ts";
import { nspawn } from "./nspawn.ts";
import { podman } from "./podman.ts";
import { runc } from "./runc.ts";
import { scanScopes } from "./scan.ts";
import { MACHINE_ROOTS, type FoundContainer, type MachineRoots, type Runtime } from "./types.ts";

/** What runs on top comes first: podman's container is also crun's, and is podman's to people. */
const RUNTIMES: readonly Runtime[] = [docker, podman, crio, containerd, lxc, nspawn, runc, crun];

/** Every running container, once, sorted by runtime and name. */
export function discoverContainers(roots: MachineRoots = MACHINE_ROOTS): FoundContainer[] {
  const scoped = scanScopes(roots);
  const byPid = new Map<number, FoundContainer>();
  for (const runtime of RUNTIMES) {
    for (const container of runtime.find(roots, scoped)) {
      if (!byPid.has(container.pid)) byPid.set(container.pid, container);
    }
  }
  return [...byPid.values()].sort((a, b) => compare(sortKey(a), sortKey(b)));
}

function sortKey({ runtime, name, id }: FoundContainer): string {
  return `${runtime}\0${name}\0${id}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Nothing, or more than one thing, goes by that name: the message says what to do. */
export class NameError extends Error {
  readonly reason: "unknown" | "ambiguous";

  constructor(reason: "unknown" | "ambiguous", message: string) {
    super(message);
    this.name = "NameError";
    this.reason = reason;
  }
}

/** The shortest part of an id that is taken for one. */
const MIN_ID_PREFIX = 4;

/**
 * The container called `wanted`: its name, its id or the beginning of its id, with the runtime before
 * it if need be (`docker:web`).
 * @throws NameError
 */
export function findContainer(
  containers: readonly FoundContainer[],
  wanted: string,
): FoundContainer {
  const colon = /^([a-z]+):(.+)$/.exec(wanted);
  const inRuntime = containers.filter(({ runtime }) => runtime === colon?.[1]);
  const [pool, name] =
    colon?.[2] && inRuntime.length > 0 ? [inRuntime, colon[2]] : [containers, wanted];
  const exact = pool.filter((container) => container.name === name || container.id === name);
  const matches =
    exact.length > 0 || name.length < MIN_ID_PREFIX
      ? exact
      : pool.filter(({ id }) => /^[0-9a-f]{12,}$/.test(id) && id.startsWith(name));
  const [only, ...others] = matches;
  if (only && others.length === 0) return only;
  if (only) {
    const list = matches.map(describe).join(" and ");
    throw new NameError(
      "ambiguous",
      `"${wanted}" names ${matches.length} containers: ${list}; give the pid, the id, or RUNTIME:NAME`,
    );
  }
  throw new NameError(
    "unknown",
    `no running container is called "${wanted}"; "lxcfs ps" lists them, and a pid will do as well`,
  );
}

function describe({ runtime, name, id, pid }: FoundContainer): string {
  const short = id === name ? "" : ` (${id.slice(0, 12)})`;
  return `${runtime}:${name}${short}, pid ${pid}`;
}
