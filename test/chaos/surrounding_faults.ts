/** Faults of what is around us: directories, descriptors, disks, the clock, the mount itself. */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Container } from "../support/container.ts";
import { keyedNumbers } from "../support/parse.ts";
import { run, tryRun } from "../support/run.ts";
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

const descriptorsUsedUp: Fault = {
  name: "descriptor-limit",
  what: "the server may open no further file, and a container comes that it does not know",
  stallMs: SHORT_MS,
  async inject(stage) {
    const server = await stage.aServer();
    const highest = Math.max(...readdirSync(`/proc/${server}/fd`).map(Number));
    const limit = (soft: number): string =>
      run(["prlimit", "--pid", String(server), `--nofile=${soft}:`]);
    const before = run([
      "prlimit",
      "--pid",
      String(server),
      "--nofile",
      "-o",
      "SOFT",
      "--noheadings",
    ]);
    limit(highest + 1);
    const memoryBytes = 96 << 20;
    const container = await Container.start({
      limits: { memoryBytes },
      mountpoint: stage.server.mountpoint,
    });
    try {
      const found = keyedNumbers(container.read("/proc/meminfo")).get("MemTotal");
      if (found !== memoryBytes >> 10)
        throw new Error(`The new container reads MemTotal ${found} kB`);
    } finally {
      container.stop();
      limit(Number(before));
    }
    return "";
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
