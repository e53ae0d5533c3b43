/** A process in a container that reads a file over and over and tells what went wrong. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Container } from "../support/container.ts";

/** One process per read: in emulation that is a pause long enough to leave others some CPU. */
const SCRIPT = `
n=0
while :; do
  if text=$(cat "$1"); then
    case $text in "$2"*) ;; *) echo "read $n gave: $text" ;; esac
  else
    echo "read $n failed"
  fi
  n=$((n + 1))
  echo "$n"
done 2>&1
`;

export class Reader {
  readonly #process: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #wrong: string[] = [];
  #reads = 0;

  /** @param start what the file must begin with */
  constructor(container: Container, path: string, start: string) {
    const argv = ["busybox", "sh", "-c", SCRIPT, "reader", path, start];
    const [program = "", ...rest] = container.command(argv);
    // its own process group: what enters the container waits outside for what reads inside
    const stdio: ["ignore", "pipe", "inherit"] = ["ignore", "pipe", "inherit"];
    const child = spawn(program, rest, { stdio, detached: true });
    this.#process = child;
    this.#closed = new Promise((resolve) => child.once("close", resolve));
    createInterface({ input: child.stdout }).on("line", (line) => {
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
    if (this.#process.pid !== undefined) process.kill(-this.#process.pid, "SIGKILL");
    await this.#closed;
    return this.#wrong;
  }
}
