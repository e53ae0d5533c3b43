/** Faults of our own processes: killed, stopped, replaced, started twice. */
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CgroupTree } from "../support/cgroup_tree.ts";
import { lxcfsCommand } from "../support/project.ts";
import { run } from "../support/run.ts";
import { waitFor } from "../support/wait.ts";
import type { Fault } from "./fault.ts";
import type { Stage } from "./stage.ts";

/** Service is to be back by then. */
const BACK_MS = 500;

/** Some are killed as soon as they have answered one reader: others go on to wait for the next server. */
const TWO_KILLS_MS = 2 * BACK_MS;

/** Moments of the next kill after service is back: before, while and long after a server starts. */
const PAUSES_MS = [0, 20, 60, 120, 250, 400];

/** Kills `count` servers in a row. @returns what to say of how long service was away */
async function killServers(
  stage: Stage,
  count: number,
  kill: (pid: number) => void,
): Promise<string> {
  const backMs: number[] = [];
  for (let i = 0; i < count; i++) {
    const victim = await stage.aServer();
    kill(victim);
    const startMs = performance.now();
    readFileSync(join(stage.server.mountpoint, "proc/meminfo"));
    backMs.push(performance.now() - startMs);
    await sleep(PAUSES_MS[i % PAUSES_MS.length] ?? 0);
  }
  backMs.sort((a, b) => a - b);
  const middle = backMs[backMs.length >> 1] ?? 0;
  const longest = backMs.at(-1) ?? 0;
  if (stage.full && longest > BACK_MS) {
    throw new Error(`service was away for ${longest.toFixed(0)} ms, not ${BACK_MS} at most`);
  }
  return `${count} kills, service back after ${middle.toFixed(0)} ms (median), ${longest.toFixed(0)} ms (longest)`;
}

const serverKilled: Fault = {
  name: "server-killed",
  what: "kill -9 of the server, in a row, at any moment",
  stallMs: TWO_KILLS_MS,
  inject: (stage) =>
    killServers(stage, stage.full ? 100 : 12, (pid) => process.kill(pid, "SIGKILL")),
};

const threadKilled: Fault = {
  name: "worker-killed",
  what: "kill -9 of a serving thread while it holds requests: the process was stopped before",
  stallMs: TWO_KILLS_MS,
  inject: (stage) =>
    killServers(stage, stage.full ? 20 : 3, (pid) => {
      process.kill(pid, "SIGSTOP");
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
      const thread = Number(readdirSync(`/proc/${pid}/task`).at(-1));
      process.kill(thread, "SIGKILL");
    }),
};

const holderKilled: Fault = {
  name: "holder-killed",
  what: "kill -9 of the holder: the server gives itself another",
  stallMs: BACK_MS,
  async inject(stage) {
    const before = stage.holderPid;
    process.kill(before, "SIGKILL");
    const { holderPid } = await stage.statusWhen(
      "another holder",
      (status) => status.holderAlive && status.holderPid !== before,
    );
    await waitFor("its pidfile", () => stage.holderPid === holderPid);
    await stage.aServer();
    return "";
  },
};

const bothKilled: Fault = {
  name: "both-killed",
  what: "kill -9 of holder and server, then a start: containers are healed",
  // In flight, and from then on.
  mayFailWith: ["ECONNABORTED", "ENOTCONN"],
  stallMs: BACK_MS,
  async inject(stage) {
    const { holderPid } = stage;
    const server = await stage.aServer();
    process.kill(holderPid, "SIGKILL");
    process.kill(server, "SIGKILL");
    await waitFor("the mount is dead", () => !stage.server.answersNow());
    const startMs = performance.now();
    stage.startAgain();
    await stage.answered();
    const backMs = performance.now() - startMs;
    for (;;) {
      await stage.witnesses.tell();
      await sleep(50);
      const seen = await stage.witnesses.tell();
      if (seen.failedCount === 0) break;
      if (performance.now() - startMs > 30_000) throw new Error("The containers are not healed");
    }
    const healedMs = performance.now() - startMs;
    return `mount back after ${backMs.toFixed(0)} ms, all containers after ${healedMs.toFixed(0)} ms`;
  },
};

const STOPPED_MS = 5000;

const serverStopped: Fault = {
  name: "server-stopped",
  what: "SIGSTOP of the server for five seconds: reads wait for it",
  stallMs: STOPPED_MS + BACK_MS,
  async inject(stage) {
    const server = await stage.aServer();
    process.kill(server, "SIGSTOP");
    await sleep(STOPPED_MS);
    process.kill(server, "SIGCONT");
    await stage.answered();
    return "";
  },
};

const outOfMemory: Fault = {
  name: "out-of-memory",
  what: "the server's cgroup has no memory left: the kernel kills it",
  stallMs: 5000,
  async inject(stage) {
    const cgroup = new CgroupTree(`lxcfs-chaos-memory-${process.pid}`);
    try {
      cgroup.limit({ memoryBytes: 256 << 10 });
      const server = await stage.aServer();
      for (const directory of cgroup.directories()) {
        writeFileSync(join(directory, "cgroup.procs"), String(server));
      }
      await waitFor("the server's end", () => stage.serverPid !== server, 20_000, 5);
      await stage.answered();
      return "";
    } finally {
      cgroup.remove();
    }
  },
};

const upgraded: Fault = {
  name: "upgrade",
  what: "lxcfs upgrade, again and again",
  stallMs: 250,
  async inject(stage) {
    const count = stage.full ? 10 : 2;
    // A server that serves may not listen on its control socket yet.
    await stage.statusWhen("a server that can be asked", () => true);
    for (let i = 0; i < count; i++) {
      run([lxcfsCommand, "upgrade", stage.server.mountpoint, "--runtime-dir", stage.runtimeDir]);
    }
    return `${count} upgrades`;
  },
};

const startedTwice: Fault = {
  name: "started-twice",
  what: "two more starts at once: both are refused",
  stallMs: BACK_MS,
  async inject(stage) {
    const starts = [stage.startAgain(), stage.startAgain()];
    const ends = await Promise.all(starts.map((start) => once(start, "exit")));
    const codes = ends.map(([code]) => String(code));
    if (codes.join() !== "1,1") throw new Error(`The starts ended with ${codes.join(" and ")}`);
    return "";
  },
};

export const PROCESS_FAULTS: readonly Fault[] = [
  serverKilled,
  threadKilled,
  holderKilled,
  serverStopped,
  outOfMemory,
  upgraded,
  startedTwice,
  bothKilled,
];
