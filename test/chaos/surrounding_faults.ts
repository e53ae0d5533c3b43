/** Faults of what is around us: directories, descriptors, disks, the clock, the mount itself. */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Container } from "../support/container.ts";
import { keyedNumbers } from "../support/parse.ts";
import { run, tryRun } from "../support/run.ts";
import { waitFor } from "../support/wait.ts";
import type { Fault } from "./fault.ts";
import type { Stage } from "./stage.ts";

const SHORT_MS = 500;

/** Kills the server, so that another has to start under these circumstances. */
async function startUnderIt(stage: Stage): Promise<void> {
  process.kill(await stage.aServer(), "SIGKILL");
  await stage.answered();
}

const directoryDeleted: Fault = {
  name: "runtime-directory",
  what: "the runtime directory is deleted; the server dies and comes back without it",
  stallMs: SHORT_MS,
  async inject(stage) {
    // The mountpoint of the cached files cannot be removed while it is mounted, nor what holds it.
    tryRun(["rm", "-rf", "--one-file-system", stage.runtimeDir]);
    await startUnderIt(stage);
    await stage.statusWhen("the control socket again", () => true);
    return "";
  },
};

const diskFull: Fault = {
  name: "disk-full",
  what: "the runtime directory has no space and no inode left; the server dies and comes back",
  stallMs: SHORT_MS,
  async inject(stage) {
    const { runtimeDir } = stage;
    run(["mount", "-t", "tmpfs", "-o", "nr_inodes=2,nr_blocks=1", "none", runtimeDir]);
    try {
      writeFileSync(join(runtimeDir, "full"), "");
      tryRun(["dd", "if=/dev/zero", `of=${join(runtimeDir, "full")}`, "bs=4096", "count=4"]);
      await startUnderIt(stage);
      await sleep(SHORT_MS);
    } finally {
      run(["umount", runtimeDir]);
    }
    await stage.statusWhen("the control socket again", () => true);
    return "";
  },
};

/** Descriptors that the limit leaves free; one container alone takes a dozen. */
const LEFT_FREE = 4;
const NEWCOMERS = 4;

function descriptorsOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/fd`).map(Number);
}

/** Numbers of descriptors that a process does not have, from the lowest one on. */
function freeDescriptors(pid: number): number[] {
  const taken = new Set(descriptorsOf(pid));
  return Array.from({ length: taken.size + LEFT_FREE + 1 }, (_, fd) => fd).filter(
    (fd) => !taken.has(fd),
  );
}

/** The server, once it has had the same threads and descriptors for a while: all have started. */
async function settledServer(stage: Stage): Promise<number> {
  let seen = "";
  const look = (): number | undefined => {
    const pid = stage.serverPid;
    if (pid === undefined) return undefined;
    const now = [pid, readdirSync(`/proc/${pid}/task`).length, descriptorsOf(pid).length].join();
    const isSame = now === seen;
    seen = now;
    return isSame ? pid : undefined;
  };
  return waitFor("a server that has started", look, 30_000, SHORT_MS);
}

/** A container that the server does not know yet reads what takes many cgroup files. */
async function readAsNewcomer(stage: Stage, memoryBytes: number): Promise<void> {
  const { mountpoint } = stage.server;
  const container = await Container.start({ limits: { memoryBytes }, mountpoint });
  try {
    for (const name of ["stat", "diskstats", "uptime", "loadavg"]) container.read(`/proc/${name}`);
    const found = keyedNumbers(container.read("/proc/meminfo")).get("MemTotal");
    if (found !== memoryBytes >> 10)
      throw new Error(`The new container reads MemTotal ${found} kB`);
  } finally {
    container.stop();
  }
}

const descriptorsUsedUp: Fault = {
  name: "descriptor-limit",
  what: "the server may open no further file, and containers come that it does not know",
  stallMs: SHORT_MS,
  async inject(stage) {
    const server = await settledServer(stage);
    const prlimit = ["prlimit", "--pid", String(server)];
    const before = run([...prlimit, "--nofile", "-o", "SOFT", "--noheadings"]).trim();
    const limit = (soft: number | string): unknown => tryRun([...prlimit, `--nofile=${soft}:`]);
    const { descriptorShortages } = await stage.statusWhen("an answer", () => true);
    try {
      limit(freeDescriptors(server)[LEFT_FREE] ?? 0);
      for (let i = 0; i < NEWCOMERS; i++) await readAsNewcomer(stage, (96 + i) << 20);
    } finally {
      limit(before);
    }
    if (stage.serverPid !== server) throw new Error(`The server, process ${server}, has died`);
    const after = await stage.statusWhen("an answer", () => true);
    const shortages = after.descriptorShortages - descriptorShortages;
    if (shortages === 0) throw new Error("The server always had a descriptor left");
    return `${shortages} times none was free`;
  },
};

export const clockJumps: Fault = {
  name: "clock-jumps",
  what: "the wall clock is set an hour ahead, two back, and right again",
  stallMs: SHORT_MS,
  whyNot: () =>
    process.env["LXCFS_CHAOS_CLOCK"] === "1"
      ? undefined
      : "it would set the clock of this machine; in a virtual machine: LXCFS_CHAOS_CLOCK=1",
  async inject(stage) {
    const startMs = performance.now();
    const began = Math.floor(Date.now() / 1000);
    const set = (offsetSeconds: number): void => {
      const passed = Math.round((performance.now() - startMs) / 1000);
      run(["date", "-s", `@${began + passed + offsetSeconds}`]);
    };
    try {
      for (const offset of [3600, -3600]) {
        set(offset);
        await sleep(SHORT_MS);
        await startUnderIt(stage);
      }
    } finally {
      set(0);
    }
    return "";
  },
};

const unmounted: Fault = {
  name: "unmounted",
  what: "somebody unmounts the mountpoint; containers keep their files, even if the server dies then",
  stallMs: SHORT_MS,
  async inject(stage) {
    const { holderPid } = stage;
    run(["umount", "-l", stage.server.mountpoint]);
    await sleep(SHORT_MS);
    const server = await stage.aServer();
    process.kill(server, "SIGKILL");
    await sleep(SHORT_MS);
    if (stage.holderPid !== holderPid) throw new Error("The holder has ended");
    await stage.aServer();
    return "";
  },
};

/** The last one leaves no mount for others. */
export const SURROUNDING_FAULTS: readonly Fault[] = [
  directoryDeleted,
  diskFull,
  descriptorsUsedUp,
  clockJumps,
  unmounted,
];
