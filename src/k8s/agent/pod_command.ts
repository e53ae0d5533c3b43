/**
 * `lxcfs node-agent pod ...`: what the kubectl plugin has done in the agent's pod on the node, by
 * way of the API server's exec. A pod is named by its uid and its containers by their ids, as they
 * are in the pod's status.
 */
import { spawnSync } from "node:child_process";
import { containerNames } from "../../attach/identity.ts";
import { AttachPool } from "../../attach/pool.ts";
import type { Outcome } from "../../attach/types.ts";
import { readFile } from "../../sys/read.ts";
import { Attacher } from "./attacher.ts";
import { EVERYTHING } from "./wanted.ts";
import { containersNow, firstProcess, isPause } from "./container_process.ts";

/** Exit codes: 0 done, 1 failed, 2 wrong use, 3 no such container. */
const EXIT = { failed: 1, usage: 2, unknown: 3 } as const;

const USAGE = `Usage: lxcfs node-agent pod attach|detach UID [CONTAINER-ID]...
       lxcfs node-agent pod show|explain FILE UID [CONTAINER-ID]
       lxcfs node-agent pod debug UID TARGET-CONTAINER-ID CONTAINER-ID
`;

export async function podCommand(
  args: readonly string[],
  mountPoint: string,
  command: readonly [string, string],
): Promise<number> {
  const [action, ...rest] = args;
  if (action === "show" || action === "explain") {
    const [file = "", uid = "", id] = rest;
    const pid = pidsOf(uid, id === undefined ? [] : [id])[0];
    if (pid === undefined) return unknown(uid);
    if (action === "show") return show(mountPoint, pid, file);
    const [node, script] = command;
    return (
      spawnSync(node, [script, action, file, "--pid", String(pid)], { stdio: "inherit" }).status ??
      1
    );
  }
  const [uid = "", ...ids] = rest;
  const pool = new AttachPool();
  const attacher = new Attacher(pool, mountPoint);
  try {
    if (action === "debug") return await debug(attacher, uid, ids);
    if (action !== "attach" && action !== "detach") {
      process.stderr.write(USAGE);
      return EXIT.usage;
    }
    const pids = pidsOf(uid, ids);
    if (pids.length === 0) return unknown(uid);
    const outcomes = await Promise.all(
      pids.map((pid) =>
        action === "attach" ? attacher.attach(pid, EVERYTHING) : attacher.detach(pid),
      ),
    );
    return outcomes.map((outcome) => tell(action, outcome)).every(Boolean) ? 0 : EXIT.failed;
  } finally {
    await pool.close();
  }
}

/** Prints a file as the process would read it: `meminfo`, or a path of the container. */
function show(mountPoint: string, pid: number, file: string): number {
  const path = file.startsWith("/") ? file : `/proc/${file}`;
  const names = containerNames("/proc");
  try {
    const name = names.nameOf(pid);
    const root = name === undefined ? mountPoint : `${mountPoint}/containers/${name}`;
    process.stdout.write(readFile(root + path));
    return 0;
  } catch (error) {
    process.stderr.write(`lxcfs: Cannot show ${path}: ${String(error)}\n`);
    return EXIT.failed;
  } finally {
    names.close();
  }
}

/** Gives the second container the first one's view. */
async function debug(attacher: Attacher, uid: string, ids: readonly string[]): Promise<number> {
  const [target, debugger_] = ids.map((id) => pidsOf(uid, [id])[0]);
  if (target === undefined || debugger_ === undefined) return unknown(uid);
  return tell("debug", await attacher.attach(debugger_, EVERYTHING, { of: target }))
    ? 0
    : EXIT.failed;
}

/** A pod's containers with their first processes: those named, or all but the one that only waits. */
export function podProcesses(uid: string, ids: readonly string[]): { id: string; pid: number }[] {
  return containersNow()
    .filter((seen) => seen.podUid === uid && (ids.length === 0 || ids.includes(seen.id)))
    .map(({ id, cgroup }) => ({ id, pid: firstProcess(cgroup) }))
    .filter(({ pid }) => pid > 0 && !isPause(pid));
}

function pidsOf(uid: string, ids: readonly string[]): number[] {
  return podProcesses(uid, ids).map(({ pid }) => pid);
}

function tell(action: string, outcome: Outcome): boolean {
  const did = new Map<string, number>();
  for (const step of outcome.steps) did.set(step.did, (did.get(step.did) ?? 0) + 1);
  const counts = [...did].map(([name, count]) => `${count} ${name}`).join(", ");
  const text = outcome.message ?? counts;
  const ok = outcome.status === "done";
  (ok ? process.stdout : process.stderr).write(
    `${action} process ${outcome.pid}: ${outcome.status}, ${text}\n`,
  );
  return ok;
}

/** Says that there is nothing by that name here. */
export function unknown(uid: string): number {
  process.stderr.write(`lxcfs: no such container of pod ${uid} runs on this node\n`);
  return EXIT.unknown;
}
