/**
 * The hierarchies of this machine as the tree shows them: one directory each, named as LXCFS 5 named
 * it, which is what LXC's mount hook binds: `memory`, `cpu,cpuacct`, `systemd`; v2 is `unified`.
 */
import { fstatSync, openSync } from "node:fs";
import type { CgroupLayout } from "../cgroup/layout.ts";
import type { Hierarchy } from "../cgroup/types.ts";
import { opening } from "../sys/exhaustion.ts";

export interface MountedHierarchy {
  readonly hierarchy: Hierarchy;
  /** Fixed for ever: part of node ids. */
  readonly slot: number;
  /** Name of its directory. */
  readonly name: string;
  /** An open descriptor of the mount, which stays open. */
  readonly fd: number;
  /** Inode number of the topmost cgroup that the mount shows. */
  readonly topId: number;
}

/** A hierarchy's slot is that of the first of these it has. Append only; there are 32 at most. */
const SLOT_CONTROLLERS = [
  "",
  "cpuset",
  "cpu",
  "cpuacct",
  "blkio",
  "memory",
  "devices",
  "freezer",
  "net_cls",
  "perf_event",
  "net_prio",
  "hugetlb",
  "pids",
  "rdma",
  "misc",
  "dmem",
  "debug",
  "name=systemd",
  "name=elogind",
  "name=openrc",
] as const;

/** @returns -1 for a hierarchy that is not shown: one with a name that nobody uses */
export function slotOf(hierarchy: Hierarchy): number {
  if (hierarchy.version === 2) return 0;
  return SLOT_CONTROLLERS.findIndex((name) => name !== "" && hierarchy.controllers.includes(name));
}

/** Name of a hierarchy's directory. */
export function nameOf(hierarchy: Hierarchy): string {
  if (hierarchy.version === 2) return "unified";
  return hierarchy.controllers.map((name) => name.replace(/^name=/, "")).join(",");
}

/** Opens all that can be opened: one that can't is not shown. */
export function openHierarchies(layout: CgroupLayout): MountedHierarchy[] {
  const opened: MountedHierarchy[] = [];
  for (const hierarchy of layout.hierarchies) {
    const slot = slotOf(hierarchy);
    if (slot < 0) continue;
    try {
      const fd = opening(() => openSync(hierarchy.mountPoint, "r"));
      opened.push({ hierarchy, slot, name: nameOf(hierarchy), fd, topId: fstatSync(fd).ino });
    } catch {
      // Not mounted any more.
    }
  }
  return opened.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
