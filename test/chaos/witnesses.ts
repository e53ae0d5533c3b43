/** Witnesses in several containers, each with limits of its own and its files given in another way. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { availableParallelism } from "node:os";
import { Container } from "../support/container.ts";
import { lxcfsCommand } from "../support/project.ts";
import { run } from "../support/run.ts";
import { patient } from "../support/wait.ts";
import type { Expectation } from "./judge.ts";
import type { Testimony } from "./witness.ts";

const PROGRAM = fileURLToPath(new URL("./witness.js", import.meta.url));

/** One container with its witness. */
class Witness {
  readonly container: Container;
  readonly #process: ChildProcess;
  readonly #lines: Interface;

  constructor(container: Container, expectation: Expectation) {
    this.container = container;
    this.#process = container.spawn([process.execPath, PROGRAM, JSON.stringify(expectation)]);
    this.#process.stderr?.pipe(process.stderr);
    if (this.#process.stdout === null) throw new Error("A witness has no standard output");
    this.#lines = createInterface({ input: this.#process.stdout });
  }

  /** What it has seen since it was last asked; waits for a read that is not answered yet. */
  async tell(): Promise<Testimony> {
    const line = once(this.#lines, "line") as Promise<[string]>;
    this.#process.stdin?.write("tell\n");
    return JSON.parse((await line)[0]) as Testimony;
  }

  stop(): void {
    this.#process.kill("SIGKILL");
    this.container.stop();
  }
}

/** What all saw together. */
export interface Testimonies extends Testimony {
  failedCount: number;
}

function nothing(): Testimonies {
  return { reads: 0, failed: {}, failedCount: 0, wrongCount: 0, wrong: [], longestStallMs: 0 };
}

function add(sum: Testimonies, each: Testimony): void {
  sum.reads += each.reads;
  for (const [name, count] of Object.entries(each.failed)) {
    sum.failed[name] = (sum.failed[name] ?? 0) + count;
    sum.failedCount += count;
  }
  sum.wrongCount += each.wrongCount;
  sum.wrong.push(...each.wrong);
  sum.longestStallMs = Math.max(sum.longestStallMs, each.longestStallMs);
}

export class Witnesses {
  readonly #all: Witness[] = [];
  #sum = nothing();

  /**
   * Three containers of the server at `mountpoint`: files bound as LXC's hook does, files attached to
   * one that runs, files bound into one with another limit and in a deeper cgroup.
   */
  static async start(mountpoint: string): Promise<Witnesses> {
    const witnesses = new Witnesses();
    try {
      for (const [index, attached] of [false, true, false].entries()) {
        const memoryBytes = (256 + 64 * index) << 20;
        const container = await Container.start({
          limits: { memoryBytes },
          depth: index + 1,
          ...(attached ? {} : { mountpoint }),
        });
        if (attached) {
          const pid = String(container.initPid);
          const argv = [lxcfsCommand, "attach", pid, "--mountpoint", mountpoint];
          // Its limit is for a machine that is not busy with other tests.
          run([...argv, "--timeout", String(patient(25))]);
        }
        const expectation = { memoryKb: memoryBytes >> 10, cpus: availableParallelism() };
        witnesses.#all.push(new Witness(container, expectation));
      }
      await witnesses.takeAll();
    } catch (error) {
      witnesses.stop();
      throw error;
    }
    return witnesses;
  }

  /** What they have seen since they were last asked. */
  async tell(): Promise<Testimonies> {
    const told = nothing();
    for (const each of await Promise.all(this.#all.map((witness) => witness.tell()))) {
      add(told, each);
    }
    add(this.#sum, told);
    return told;
  }

  /** What they have seen since the last call of this, whoever asked meanwhile. */
  async takeAll(): Promise<Testimonies> {
    await this.tell();
    const sum = this.#sum;
    this.#sum = nothing();
    return sum;
  }

  stop(): void {
    for (const witness of this.#all) witness.stop();
  }
}
