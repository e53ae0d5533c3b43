/** Several reader processes over one file. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Readings } from "./reader.ts";

const PROGRAM = fileURLToPath(new URL("./reader.js", import.meta.url));

export class Readers {
  readonly #children: ChildProcess[] = [];

  /** Starts `count` readers of `file`, each of whose answers must begin with `beginning`. */
  constructor(file: string, count: number, beginning = "MemTotal:") {
    for (let i = 0; i < count; i++) {
      this.#children.push(
        spawn(process.execPath, [PROGRAM, file, beginning], { stdio: ["pipe", "pipe", "inherit"] }),
      );
    }
  }

  /** Ends them and adds up what they saw. */
  async end(): Promise<Readings> {
    const sum: Readings = { reads: 0, failures: [], slowestMs: 0 };
    for (const child of this.#children) {
      let text = "";
      child.stdout?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      child.stdin?.end();
      await once(child, "close");
      const readings = JSON.parse(text) as Readings;
      sum.reads += readings.reads;
      sum.failures.push(...readings.failures);
      sum.slowestMs = Math.max(sum.slowestMs, readings.slowestMs);
    }
    return sum;
  }
}
