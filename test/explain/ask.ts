/** Commands that explain, about one lab: a server, and a container with all of its files. */
import { join } from "node:path";
import { createInterface } from "node:readline";
import { VIEWS } from "../../src/views/index.ts";
import type { Container } from "../support/container.ts";
import type { Lab } from "../support/lab.ts";
import { lxcfsCommand } from "../support/project.ts";
import { type Result, tryRun } from "../support/run.ts";

/** Every file of a fixed name, and some of those of single CPUs and nodes. */
export const FILES: readonly string[] = [
  ...VIEWS.map(({ path }) => path),
  "sys/devices/system/cpu/kernel_max",
  "sys/devices/system/cpu/cpu0/topology/core_id",
  "sys/devices/system/cpu/cpu0/topology/core_siblings_list",
  "sys/devices/system/node/node0/cpulist",
  "sys/devices/system/node/node0/meminfo",
];

/** `lxcfs ARGS`, told of the lab's server. */
export function ask(lab: Lab, ...args: string[]): Result {
  const run = join(lab.server.directory, "run");
  const server = ["--mountpoint", lab.server.mountpoint, "--runtime-dir", run];
  return tryRun([lxcfsCommand, ...args, ...server]);
}

/**
 * One process in a container that goes on living and reads files when told to, so that reading
 * changes nothing that is read: a process for each read would come and go in the counts.
 */
export class InsideReader {
  readonly #child: ReturnType<Container["spawn"]>;
  readonly #lines: AsyncIterator<string>;

  constructor(container: Container) {
    const script = `while read -r file; do
      while IFS= read -r line; do printf '%s\\n' "$line"; done <"$file"
      echo "=== end"
    done`;
    this.#child = container.spawn(["sh", "-c", script]);
    const { stdout } = this.#child;
    if (!stdout) throw new Error("The reader has no output");
    stdout.setEncoding("latin1");
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  async read(path: string): Promise<string> {
    this.#child.stdin?.write(`${path}\n`);
    let text = "";
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) throw new Error(`The reader ended at ${path}`);
      if (value === "=== end") return text;
      text += `${value}\n`;
    }
  }

  end(): void {
    this.#child.kill("SIGKILL");
  }
}
