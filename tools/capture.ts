/**
 * Captures what a running kernel says into a text archive for tests:
 *
 *     node dist/tools/capture.js fixtures        writes fixtures/<distro>-<kernel>-<mode>/tree.txt
 *
 * Needs root. Makes cgroups of its own (`lxcfs-capture`) with limits at several levels and runs a
 * small load in them; both are gone when it ends. On cgroup v2 it enables all controllers for the
 * groups directly below the root and leaves them so: a machine to throw away is best.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { type CgroupLayout, detectLayout } from "../src/cgroup/layout.ts";
import { parseCpuList } from "../src/host/cpu_list.ts";
import { readFile, tryReadFile } from "../src/sys/read.ts";
import { addText, captureFiles, cgroupMounts } from "./capture/files.ts";
import { groupDirectory, makeGroups, removeGroups } from "./capture/groups.ts";
import { runLoad } from "./capture/load.ts";
import { LOAD_PATH } from "./capture/plan.ts";
import { formatTree, type Tree } from "./tree_archive.ts";

const usage = "usage: capture.js DIRECTORY";

/** `debian12-6.1.0-50-amd64-v2`: where a tree comes from. */
function treeName(layout: CgroupLayout): string {
  const release = tryReadFile("/etc/os-release") ?? "";
  const field = (name: string): string =>
    new RegExp(`^${name}="?([\\w.-]+)`, "m").exec(release)?.[1] ?? "";
  const kernel = readFile("/proc/sys/kernel/osrelease")
    .trim()
    .replace(/[^\w.+]/g, "-");
  return `${field("ID") || "linux"}${field("VERSION_ID")}-${kernel}-${layout.mode}`;
}

/** Starts the load as pid 1 of new pid and cgroup namespaces, in the deepest of the groups. */
function startLoad(layout: CgroupLayout): ChildProcess {
  const directories = layout.hierarchies.map((hierarchy) => groupDirectory(hierarchy, LOAD_PATH));
  const enter =
    'for d; do echo $$ > "$d/cgroup.procs" || exit; done; exec unshare --fork --pid --cgroup "$NODE" "$SCRIPT" --load "$SCRATCH"';
  return spawn("sh", ["-c", enter, "sh", ...directories], {
    stdio: ["pipe", "pipe", "inherit"],
    env: {
      ...process.env,
      NODE: process.execPath,
      SCRIPT: process.argv[1],
      SCRATCH: `${tmpdir()}/lxcfs-capture.${process.pid}`,
    },
  });
}

/** Adds what the load saw from inside of its cgroup namespace, below `/inside`. */
function addInside(tree: Tree, line: string): void {
  const inside = JSON.parse(line) as Record<string, string>;
  for (const [path, text] of Object.entries(inside)) {
    addText(tree, `/inside${path}`, path.endsWith("mountinfo") ? cgroupMounts(text) : text);
  }
}

/** @throws Error if the process ends without having said anything */
async function firstLine(process: ChildProcess): Promise<string> {
  if (process.stdout) for await (const line of createInterface(process.stdout)) return line;
  throw new Error("Cannot capture: the load ended before it was ready");
}

async function capture(directory: string): Promise<string> {
  const layout = detectLayout(readFile("/proc/self/mountinfo"));
  const cpus = parseCpuList(readFile("/sys/devices/system/cpu/online"));
  let load: ChildProcess | undefined;
  try {
    makeGroups(layout, cpus.length);
    load = startLoad(layout);
    const line = await firstLine(load);
    const tree = captureFiles(layout);
    addInside(tree, line);
    const target = `${directory}/${treeName(layout)}`;
    mkdirSync(target, { recursive: true });
    writeFileSync(`${target}/tree.txt`, formatTree(tree));
    return target;
  } finally {
    if (load) {
      load.stdin?.end();
      if (load.exitCode === null) await once(load, "exit");
    }
    removeGroups(layout);
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { load: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  const [argument] = positionals;
  if (argument === undefined) {
    console.error(usage);
    process.exitCode = 2;
  } else if (values.load) runLoad(argument);
  else console.log(await capture(argument));
}

await main();
