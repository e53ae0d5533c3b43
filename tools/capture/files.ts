/** Which files of a running machine go into a capture. */
import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
} from "node:fs";
import { processesBelow } from "../../src/cgroup/processes.ts";
import type { CgroupLayout } from "../../src/cgroup/layout.ts";
import { readFdBytes } from "../../src/sys/read.ts";
import type { Tree } from "../tree_archive.ts";
import { groupDirectory } from "./groups.ts";
import { TOP } from "./plan.ts";

const PROC_FILES = [
  "cpuinfo",
  "diskstats",
  "loadavg",
  "meminfo",
  "partitions",
  "pressure/cpu",
  "pressure/io",
  "pressure/irq",
  "pressure/memory",
  "self/auxv",
  "stat",
  "swaps",
  "sys/kernel/osrelease",
  "sys/kernel/pid_max",
  "uptime",
  "vmstat",
];

const PID_FILES = ["cgroup", "comm", "personality", "stat", "status", "timens_offsets"];

const NAMESPACES = ["cgroup", "mnt", "pid", "pid_for_children", "time", "user"];

/** Directories of /sys that are taken whole, apart from these names in them. */
const SYS_TREES = ["/sys/devices/system/cpu", "/sys/devices/system/node"];
const SYS_SKIPPED =
  /^(?:power|subsystem|driver|firmware_node|hotplug|cpufreq|cpuidle|vulnerabilities|microcode|uevent|crash_notes.*|hugepages|memory\d+|compact|cpu\d+_node|node\d+_link)$/;

/** Files of controllers that the project has nothing to do with, and such as only private kernels have. */
const CGROUP_SKIPPED = /^(?:hugetlb|devices|rdma|misc|net_cls|net_prio|memory\.shown_)/;

/** Mounts that say nothing of cgroups are nobody's business. */
const MOUNT_TYPES = new Set(["cgroup", "cgroup2", "proc", "sysfs"]);

/** Everything below /proc and /sys that the project reads; only cgroups of the capture's own besides each hierarchy's top. */
export function captureFiles(layout: CgroupLayout): Tree {
  const tree: Tree = new Map();
  for (const name of PROC_FILES) addFile(tree, `/proc/${name}`);
  addText(tree, "/proc/self/mountinfo", cgroupMounts(textOf("/proc/self/mountinfo")));
  addFile(tree, "/proc/1/cgroup");
  for (const directory of SYS_TREES) addTree(tree, directory);
  const pids = new Set<number>();
  for (const hierarchy of layout.hierarchies) {
    addCgroup(tree, hierarchy.mountPoint, (name) => name === TOP);
    const top = groupDirectory(hierarchy, "");
    addCgroup(tree, top, () => true);
    for (const pid of processesBelow(top)) pids.add(pid);
  }
  for (const pid of pids) addProcess(tree, String(pid));
  return tree;
}

/** A text that is not read from the path it is kept at. */
export function addText(tree: Tree, path: string, text: string): void {
  tree.set(path, { kind: "file", mode: 0o444, content: Buffer.from(text, "latin1") });
}

/** The lines of a mountinfo that matter: cgroup mounts, and what they are mounted on. */
export function cgroupMounts(text: string): string {
  return text
    .split("\n")
    .filter((line) => {
      const [before = "", after = ""] = line.split(" - ");
      return MOUNT_TYPES.has(after.split(" ")[0] ?? "") || before.includes(" /sys/fs/cgroup ");
    })
    .map((line) => `${line}\n`)
    .join("");
}

function addProcess(tree: Tree, pid: string): void {
  for (const name of PID_FILES) addFile(tree, `/proc/${pid}/${name}`);
  for (const name of NAMESPACES) {
    const path = `/proc/${pid}/ns/${name}`;
    try {
      tree.set(path, { kind: "link", target: readlinkSync(path) });
    } catch {
      // Not a namespace that this kernel has.
    }
  }
  for (const tid of readdirSync(`/proc/${pid}/task`))
    addFile(tree, `/proc/${pid}/task/${tid}/stat`);
}

/** A cgroup's files, and those cgroups below that are wanted. */
function addCgroup(tree: Tree, directory: string, wanted: (name: string) => boolean): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory()) {
      if (wanted(entry.name) && entry.name !== TOP) addCgroup(tree, path, wanted);
    } else if (!CGROUP_SKIPPED.test(entry.name) && !isTopsProcesses(directory, entry.name)) {
      addFile(tree, path);
    }
  }
}

/** The processes of the machine itself are many, and none of ours. */
function isTopsProcesses(directory: string, name: string): boolean {
  return !directory.includes(`/${TOP}`) && /^(?:tasks|cgroup\.(?:procs|threads))$/.test(name);
}

function addTree(tree: Tree, directory: string): void {
  if (!existsSync(directory)) return;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = `${directory}/${entry.name}`;
    if (SYS_SKIPPED.test(entry.name) || entry.isSymbolicLink()) continue;
    if (entry.isDirectory()) addTree(tree, path);
    else addFile(tree, path);
  }
}

/** Adds a file; what cannot be read (write-only files, vanished processes) is left out. */
function addFile(tree: Tree, path: string): void {
  try {
    const mode = lstatSync(path).mode & 0o777;
    if ((mode & 0o444) === 0) return;
    tree.set(path, { kind: "file", mode, content: Buffer.from(bytesOf(path)) });
  } catch {
    // As said.
  }
}

function textOf(path: string): string {
  return bytesOf(path).toString("latin1");
}

/** Some kernel files block a reader that waits for an event: those give EAGAIN. */
function bytesOf(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return readFdBytes(fd);
  } finally {
    closeSync(fd);
  }
}
