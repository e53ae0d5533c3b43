/** A process in a container that reads a file over and over and tells what went wrong. */
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { Container } from "../support/container.ts";

/** Reads with the shell's own means: a process per read would be most of the load. */
const SCRIPT = `
n=0
while :; do
  if IFS= read -r line < "$1"; then
    [ "$line" = "$2" ] || [ -z "$2" ] || echo "wrong: $line"
  else
    echo "failed: read $n"
  fi
  n=$((n + 1))
  echo "$n"
done 2>&1
`;

export class Reader {
  readonly #process: ChildProcess;
  readonly #wrong: string[] = [];
  #reads = 0;

  /** @param firstLine what the file must begin with; empty: anything */
  constructor(container: Container, path: string, firstLine = "") {
    this.#process = container.spawn(["busybox", "sh", "-c", SCRIPT, "reader", path, firstLine]);
    const { stdout } = this.#process;
    if (stdout === null) throw new Error("The reader has no output");
    createInterface({ input: stdout }).on("line", (line) => {
      if (/^\d+$/.test(line)) this.#reads = Number(line);
      else this.#wrong.push(line);
    });
  }

  /** How many reads have ended. */
  reads(): number {
    return this.#reads;
  }

  /** Ends it. @returns what failed or was not as expected */
  async stop(): Promise<string[]> {
    const closed = new Promise((resolve) => this.#process.once("close", resolve));
    this.#process.kill("SIGKILL");
    await closed;
    return this.#wrong;
  }
}
