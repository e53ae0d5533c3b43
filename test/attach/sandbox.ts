/**
 * Where attach tests run: a mount namespace of their own, which stands for the host's, and
 * containers made with unshare(1). All of it dies with the test process, however that ends: mounts
 * with the namespace, containers by their parent-death signal.
 */
import { spawn, type ChildProcess } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CLONE, MNT, mount, MS, umount, unshare } from "../../src/sys/native.ts";

/** Why these tests cannot run here, or false. */
export const cannotRun: string | false =
  process.getuid?.() === 0 ? false : "needs root: it makes mount namespaces";

let inside = false;

/** Gives the test process its own mount namespace; a second call does nothing. */
export function enterSandbox(): void {
  if (inside) return;
  inside = true;
  unshare(CLONE.NEWNS);
  mount("none", "/", null, MS.REC | MS.PRIVATE, null);
}

/** A scratch directory, removed at the end together with what is mounted on `mnt` below it. */
export class Scratch {
  readonly directory: string = mkdtempSync(join(tmpdir(), "lxcfs-attach-"));
  readonly #mounted: string[] = [];

  path(name: string): string {
    return join(this.directory, name);
  }

  /** A tmpfs that holds `files` (0444), to stand for the served tree. */
  servedTree(name: string, files: Readonly<Record<string, string>>): string {
    const root = this.path(name);
    mkdirSync(root);
    mount("served", root, "tmpfs", 0, null);
    this.#mounted.push(root);
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), text);
      chmodSync(join(root, file), 0o444);
    }
    return root;
  }

  /** Has `path` unmounted at the end. */
  alsoUnmount(path: string): void {
    this.#mounted.push(path);
  }

  close(): void {
    for (const path of this.#mounted.reverse()) {
      try {
        umount(path, MNT.DETACH);
      } catch {
        // The test may have done it itself.
      }
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A running container: its first process sleeps. */
export class TestContainer {
  readonly pid: number;
  readonly #outer: ChildProcess;

  private constructor(outer: ChildProcess, pid: number) {
    this.#outer = outer;
    this.pid = pid;
  }

  /** @param flags further options of unshare(1), such as `-U --map-root-user` */
  static start(flags: readonly string[] = [], script = ":"): Promise<TestContainer> {
    const shell = ["sh", "-c", `${script}\necho ready; exec sleep 1000`];
    return TestContainer.#run(["--mount-proc", ...flags, ...shell]);
  }

  /** With the mounts' propagation left as it is. */
  static startPlain(): Promise<TestContainer> {
    const shell = ["sh", "-c", "echo ready; exec sleep 1000"];
    return TestContainer.#run(["--propagation", "unchanged", ...shell]);
  }

  /** With `root`, a mount point, as its root, in which there is nothing but busybox, /proc and /sys. */
  static startIn(root: string): Promise<TestContainer> {
    copyFileSync("/usr/bin/busybox", join(root, "busybox"));
    mkdirSync(join(root, "old"));
    const script = `mount -t proc proc ${root}/proc && mount -t sysfs sysfs ${root}/sys &&
      cd ${root} && pivot_root . old && exec /busybox sh -c '
        /busybox umount -l /old; echo ready; exec /busybox sleep 1000'`;
    return TestContainer.#run(["sh", "-c", script]);
  }

  static async #run(args: readonly string[]): Promise<TestContainer> {
    const outer = spawn(
      "setpriv",
      ["--pdeathsig", "KILL", "unshare", "-m", "-p", "-f", "--kill-child", ...args],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    await new Promise<void>((resolve, reject) => {
      outer.stdout.once("data", () => resolve());
      outer.once("exit", (code) => reject(new Error(`Container did not start: exit ${code}`)));
    });
    const children = readFileSync(`/proc/${outer.pid}/task/${outer.pid}/children`, "latin1");
    return new TestContainer(outer, Number(children.trim().split(" ")[0]));
  }

  /** What a process in the container reads; the error's code where it cannot. */
  read(path: string): string {
    try {
      return readFileSync(`/proc/${this.pid}/root${path}`, "latin1");
    } catch (thrown) {
      return (thrown as NodeJS.ErrnoException).code ?? "?";
    }
  }

  /** Lines of the container's mount table that `pattern` matches. */
  mounts(pattern: RegExp): string[] {
    return readFileSync(`/proc/${this.pid}/mountinfo`, "latin1")
      .split("\n")
      .filter((line) => pattern.test(line));
  }

  async stop(): Promise<void> {
    const gone = new Promise<void>((resolve) => {
      if (this.#outer.exitCode !== null || this.#outer.signalCode !== null) resolve();
      else this.#outer.once("exit", () => resolve());
    });
    try {
      process.kill(this.pid, "SIGKILL");
    } catch {
      // It has died before.
    }
    this.#outer.kill("SIGKILL");
    await gone;
  }
}

/** Waits until `condition` holds, at most `limitMs`. */
export async function until(condition: () => boolean, limitMs = 5000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error("Waited in vain");
    await sleep(10);
  }
}
