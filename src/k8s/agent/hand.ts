/**
 * The agent's hand: a process of its own that attaches, detaches and heals. It lies in the server's
 * cgroup, outside the pod's, because of who it is to the filesystem there: a process in a pod's
 * cgroup is that pod's, and is not shown the directories of other containers that it is to bind.
 * The agent itself stays in its pod, where the runtime can end it; the hand ends with the agent.
 */
import type { ChildProcess } from "node:child_process";
import { execFile, fork } from "node:child_process";
import { promisify } from "node:util";
import { heal } from "../../attach/heal.ts";
import { AttachPool } from "../../attach/pool.ts";
import type { Outcome } from "../../attach/types.ts";
import { Attacher, type ViewOf } from "./attacher.ts";
import { detachAll } from "./detach_all.ts";
import { joinCgroup } from "./node_cgroup.ts";
import type { Wanted } from "./wanted.ts";

/** What can be asked of the hand. */
export type Task =
  | { do: "attach"; pid: number; wanted: Wanted; view?: ViewOf }
  | { do: "detach"; pid: number }
  | { do: "cpu-policy"; pid: number; policy: string }
  | { do: "detach-all"; except: readonly number[] }
  | { do: "heal" };

/** What came of it: how many containers were changed, or one container's outcome. */
export type Done = { outcome?: Outcome; containers: number };

interface Question {
  id: number;
  task: Task;
}

interface Answer {
  id: number;
  done?: Done;
  error?: string;
}

interface Waiting {
  resolve: (done: Done) => void;
  reject: (error: Error) => void;
}

/**
 * In the hand's process: answers until the agent is gone.
 * @param timeLimitMs how long one container's attaching may take
 */
export function serveHand(mountPoint: string, cgroup: string, timeLimitMs: number): Promise<never> {
  joinCgroup(cgroup);
  const pool = new AttachPool({ timeLimitMs });
  const attacher = new Attacher(pool, mountPoint);
  const perform = async (task: Task): Promise<Done> => {
    switch (task.do) {
      case "attach":
        return {
          outcome: await attacher.attach(task.pid, task.wanted, task.view),
          containers: 1,
        };
      case "detach":
        return { outcome: await attacher.detach(task.pid), containers: 1 };
      case "cpu-policy":
        // Kept by the kernel on the container's cgroup: the command needs nothing that runs here.
        await promisify(execFile)(process.execPath, [
          process.argv[1] ?? "",
          "cpu-policy",
          String(task.pid),
          task.policy,
        ]);
        return { containers: 1 };
      case "detach-all":
        return { containers: await detachAll(attacher, task.except) };
      case "heal": {
        const report = await heal(pool, { mountPoint, dryRun: false, procRoot: "/proc" });
        return { containers: report.outcomes.length };
      }
    }
  };
  process.on("message", ({ id, task }: Question) => {
    perform(task).then(
      (done) => process.send?.({ id, done } satisfies Answer),
      (error: unknown) => process.send?.({ id, error: String(error) } satisfies Answer),
    );
  });
  // Signals are for the agent, which lets go of the hand when it has finished.
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => undefined);
  process.on("disconnect", () => process.exit(0));
  return new Promise(() => undefined);
}

/** The agent's end. A hand that has died is replaced with the next task. */
export class Hand {
  readonly #start: () => ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #outcomes = new Map<string, number>();
  /** Containers that were changed, by task. */
  readonly containers: Map<string, number> = new Map();
  #child: ChildProcess | undefined;
  #nextId = 1;

  /** @param args what makes this program a hand */
  constructor(script: string, args: readonly string[]) {
    this.#start = () => fork(script, [...args], { stdio: "inherit", execArgv: [] });
  }

  /** How many tasks ended how: `attach done`, `detach failed` and so on. */
  get outcomes(): ReadonlyMap<string, number> {
    return this.#outcomes;
  }

  /** @throws if the hand dies meanwhile or the task cannot be done at all */
  async run(task: Task): Promise<Done> {
    this.#child ??= this.#connect();
    const id = this.#nextId++;
    const child = this.#child;
    const done = await new Promise<Done>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      child.send({ id, task } satisfies Question);
    });
    const key = `${task.do} ${done.outcome?.status ?? "done"}`;
    this.#outcomes.set(key, (this.#outcomes.get(key) ?? 0) + 1);
    this.containers.set(task.do, (this.containers.get(task.do) ?? 0) + done.containers);
    return done;
  }

  /** Lets go of it: it ends. */
  close(): void {
    if (this.#child?.connected) this.#child.disconnect();
  }

  #connect(): ChildProcess {
    const child = this.#start();
    child.on("message", ({ id, done, error }: Answer) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (done) waiting?.resolve(done);
      else waiting?.reject(new Error(error));
    });
    child.on("exit", (code) => {
      this.#child = undefined;
      for (const { reject } of this.#waiting.values())
        reject(new Error(`The process that attaches has ended with ${code}`));
      this.#waiting.clear();
    });
    child.on("error", () => undefined);
    return child;
  }
}
