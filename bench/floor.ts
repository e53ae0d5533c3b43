/** The running `bench/floor.c`: the least that any server of files in user space costs. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guardWith } from "../test/support/guard.ts";
import { tryRun } from "../test/support/run.ts";
import { waitFor } from "../test/support/wait.ts";
import { compiled } from "./load.ts";

export class Floor {
  readonly #mountpoint: string;
  readonly #process: ChildProcess;

  private constructor(mountpoint: string, process: ChildProcess) {
    this.#mountpoint = mountpoint;
    this.#process = process;
  }

  static async start(): Promise<Floor> {
    const mountpoint = mkdtempSync(join(tmpdir(), "lxcfs-floor-"));
    guardWith(`umount -l '${mountpoint}' 2>/dev/null; rmdir '${mountpoint}'`);
    const process = spawn(compiled("floor"), [mountpoint], { stdio: "inherit" });
    const floor = new Floor(mountpoint, process);
    await waitFor("the floor's file", () => existsSync(floor.file));
    return floor;
  }

  /** Its only file. */
  get file(): string {
    return join(this.#mountpoint, "file");
  }

  pids(): number[] {
    return this.#process.pid === undefined ? [] : [this.#process.pid];
  }

  /** It ends when it is unmounted. */
  stop(): void {
    tryRun(["umount", "-l", this.#mountpoint]);
    this.#process.kill("SIGKILL");
    rmdirSync(this.#mountpoint);
  }
}
