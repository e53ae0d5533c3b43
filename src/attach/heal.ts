/**
 * Replaces dead lxcfs mounts in all mount namespaces of the machine: those of a server that died
 * with its holder, and those that the original LXCFS left behind. Like is replaced by like: what
 * showed `/proc/stat` of the dead filesystem shows `/proc/stat` of the living one.
 */
import type { Mount } from "../host/mountinfo.ts";
import { readFile } from "../sys/read.ts";
import { findLxcfsMounts, hostNamespaces, type NamespaceMounts } from "./find_mounts.ts";
import { deviceOf, locate } from "./mount_table.ts";
import { parseMountinfo } from "../host/mountinfo.ts";
import type { AttachPool } from "./pool.ts";
import { cachedMountPointOf, sourcesOf } from "./served.ts";
import type { Binding, Job, Outcome } from "./types.ts";

export interface HealOptions {
  /** Where the living filesystem is mounted; `undefined`: dead mounts are only taken away. */
  readonly mountPoint: string | undefined;
  readonly dryRun: boolean;
  readonly procRoot: string;
}

/** What one pass over the machine found and did. */
export interface HealReport {
  /** Superblocks (`major:minor`) that no longer answer. */
  readonly dead: readonly string[];
  /** Superblocks that gave no answer in time: left alone, their server may only be slow. */
  readonly silent: readonly string[];
  /** One for each namespace with dead mounts. */
  readonly outcomes: readonly Outcome[];
  readonly milliseconds: number;
}

/** @throws Error if `mountPoint` is not a living filesystem of this kind */
export async function heal(pool: AttachPool, options: HealOptions): Promise<HealReport> {
  const startedMs = performance.now();
  const { mountPoint, procRoot, dryRun } = options;
  const living = mountPoint === undefined ? undefined : await livingDevice(pool, mountPoint);
  const found = findLxcfsMounts(procRoot, hostNamespaces(procRoot));
  const { dead, silent } = await judgeDevices(pool, found, living, procRoot);
  const cached = mountPoint === undefined ? undefined : cachedMountPointOf(mountPoint);
  const jobs = found.map((namespace) => healJob(namespace, dead, cached, options));
  const outcomes = await Promise.all(
    jobs
      .filter((job) => job.bindings.length > 0)
      .map((job) => pool.run({ ...job, dryRun, deadDevices: dead })),
  );
  return { dead, silent, outcomes, milliseconds: performance.now() - startedMs };
}

/** The superblock at `mountPoint`. @throws Error if nothing of ours is mounted there, or it is dead */
async function livingDevice(pool: AttachPool, mountPoint: string): Promise<string> {
  const mounts = parseMountinfo(readFile("/proc/self/mountinfo"));
  const location = locate(mounts, mountPoint);
  if (!location || !mounts.some((mount) => mount.mountPoint === mountPoint)) {
    throw new Error(`Nothing is mounted on ${mountPoint}: start lxcfs first`);
  }
  const state = await probe(pool, process.pid, mountPoint, "/proc");
  if (state !== "alive") {
    throw new Error(`The filesystem on ${mountPoint} is ${state}: restart lxcfs first`);
  }
  return location.device;
}

/** Asks each superblock once, however many mounts of it there are. */
async function judgeDevices(
  pool: AttachPool,
  found: readonly NamespaceMounts[],
  living: string | undefined,
  procRoot: string,
): Promise<{ dead: string[]; silent: string[] }> {
  const examples = new Map<string, { pid: number; mount: Mount }>();
  for (const { pid, mounts } of found) {
    for (const mount of mounts) {
      const device = deviceOf(mount);
      if (device !== living && !examples.has(device)) examples.set(device, { pid, mount });
    }
  }
  const dead: string[] = [];
  const silent: string[] = [];
  await Promise.all(
    [...examples].map(async ([device, { pid, mount }]) => {
      const state = await probe(pool, pid, mount.mountPoint, procRoot);
      if (state === "dead") dead.push(device);
      else if (state === "silent") silent.push(device);
    }),
  );
  return { dead, silent };
}

async function probe(
  pool: AttachPool,
  pid: number,
  target: string,
  procRoot: string,
): Promise<"alive" | "dead" | "silent"> {
  const bindings = [{ source: "", target }];
  const job: Job = { ...BASE, kind: "probe", pid, bindings, procRoot };
  const { status, steps } = await pool.run(job);
  if (status === "timeout") return "silent";
  return steps[0]?.did === "failed" ? "dead" : "alive";
}

const BASE = { rootfs: "/", deadDevices: [], dryRun: false } as const;

function healJob(
  { pid, mounts }: NamespaceMounts,
  dead: readonly string[],
  cached: string | undefined,
  { mountPoint, procRoot }: HealOptions,
): Job {
  const bindings = mounts
    .filter((mount) => dead.includes(deviceOf(mount)))
    .map((mount) => sameOf(mountPoint, cached, mount));
  return { ...BASE, kind: "heal", pid, bindings, procRoot };
}

function sameOf(mountPoint: string | undefined, cached: string | undefined, mount: Mount): Binding {
  const target = mount.mountPoint;
  if (mountPoint === undefined) return { source: "", target };
  const root = mount.root.replace(/\/\/deleted$/, "");
  // The whole filesystem, shown to a container that runs containers of its own.
  if (root === "/") return { source: mountPoint, target, writable: true };
  return { ...sourcesOf(mountPoint, cached, root), target };
}
