/** Debian's lxcfs as a filesystem to attach, to kill and to stop. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { cannotRun, until, type Scratch } from "./sandbox.ts";

/** Why tests with it cannot run here, or false. */
export const cannotRunLxcfs: string | false =
  cannotRun ||
  (spawnSync("lxcfs", ["--version"]).status === 0 ? false : "needs Debian's package lxcfs");

export interface LxcfsProcess {
  readonly mountPoint: string;
  readonly child: ChildProcess;
}

/** Starts it on a directory of its own. */
export async function startLxcfs(scratch: Scratch, name: string): Promise<LxcfsProcess> {
  const mountPoint = scratch.path(name);
  mkdirSync(mountPoint);
  const child = spawn(
    "setpriv",
    ["--pdeathsig", "KILL", "lxcfs", "-f", "-p", scratch.path(`${name}.pid`), mountPoint],
    { stdio: "ignore" },
  );
  scratch.alsoUnmount(mountPoint);
  await until(() => readFileSync("/proc/self/mountinfo", "latin1").includes(`${mountPoint} `));
  return { mountPoint, child };
}

export async function kill({ child }: LxcfsProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}
