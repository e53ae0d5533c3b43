/** The probe of probe.c: system calls from inside a container, one by one, and their errno. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errnoName } from "../../src/sys/errno.ts";
import type { Container } from "../support/container.ts";
import { guardWith } from "../support/guard.ts";
import { projectRoot } from "../support/project.ts";
import { installed, run, type RunOptions } from "../support/run.ts";

/** Every system call that takes a path. */
export const PATH_CALLS: readonly PathCall[] = [
  ..."open-read open-write open-both open-truncate open-append open-create open-exclusive".split(
    " ",
  ),
  ..."open-directory open-path open-nofollow open-tmpfile read write stat lstat statx".split(" "),
  ..."access access-read access-write access-execute chmod chown lchown truncate".split(" "),
  ..."mkdir rmdir rename rename-onto link symlink unlink mknod mkfifo utimes".split(" "),
  ..."setxattr getxattr listxattr removexattr inotify readlink statfs exec".split(" "),
  ..."chdir handle mount-on".split(" "),
];

export type PathCall = string;

/** Those that make a name, and so ask whether it may be made. */
export const MAKING: ReadonlySet<string> = new Set(
  "open-create open-exclusive mkdir symlink mknod mkfifo".split(" "),
);

/** Why there can be no probe here; false: there can. */
export function whyNoProbe(): string | false {
  return installed("cc") ? false : "needs a C compiler, see tools/setup-debian.sh";
}

/** An emulated machine takes its time. */
const PATIENCE_MS = 300_000;

export type Call = readonly [call: string, path: string];

export class Probe {
  readonly program: string;
  readonly #directory: string;

  constructor() {
    this.#directory = mkdtempSync(join(tmpdir(), "lxcfs-probe-"));
    guardWith(`rm -rf '${this.#directory}'`);
    run(["chmod", "755", this.#directory]);
    this.program = this.compile("probe.c");
  }

  /** A program of this folder (or `folder`), where containers find it. */
  compile(source: string, folder = "test/cgroup_tree"): string {
    const program = join(this.#directory, source.slice(0, -2));
    const path = join(projectRoot, folder, source);
    run(["cc", "-Wall", "-o", program, path], { timeoutMs: PATIENCE_MS });
    return program;
  }

  /** Makes the calls in `container`, as `prefix` (setpriv and its like) has it. */
  ask(container: Container, calls: readonly Call[], prefix: readonly string[] = []): string[] {
    return this.askBy((argv, options) => container.exec(argv, options), calls, prefix);
  }

  askBy(
    exec: (argv: readonly string[], options: RunOptions) => string,
    calls: readonly Call[],
    prefix: readonly string[] = [],
  ): string[] {
    const input = calls.map(([call, path]) => `${call} ${path}\n`).join("");
    const output = exec([...prefix, this.program], { input, timeoutMs: PATIENCE_MS });
    const answers = output.trim().split("\n").map(Number);
    if (answers.length !== calls.length) throw new Error(`The probe ended early: ${output}`);
    return answers.map((code) => (code === 0 ? "ok" : errnoName(code)));
  }

  /** As `ask`, with descriptors of this process handed on as 3, 4 and so on. */
  askWith(container: Container, fds: readonly number[], calls: readonly Call[]): string[] {
    return this.askBy((argv, { input = "" }) => {
      const [program = "", ...rest] = container.command(argv);
      const stdio = ["pipe", "pipe", "inherit", ...fds] as const;
      return spawnSync(program, rest, { input, encoding: "utf8", stdio: [...stdio] }).stdout;
    }, calls);
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
