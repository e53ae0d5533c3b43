/**
 * Cleaning up even when the test process is killed with SIGKILL.
 *
 * A guard is a shell in its own session that blocks on its standard input, a pipe whose other end
 * only this process holds. While this process lives it registers what must be undone as small shell
 * scripts in a directory; when the pipe closes, for whatever reason, the guard runs what is still
 * registered, newest first.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const GUARD = `
trap '' INT TERM HUP
cat >/dev/null
for script in $(ls -r "$1"); do sh "$1/$script"; done >/dev/null 2>&1
rm -rf "$1"
`;

/** Deaf to Ctrl-C in the terminal, which may be why it runs and would end it half-way. */
const UNDO = `trap '' INT TERM HUP; exec sh "$0"`;

/** Something registered to be undone. */
export interface Undo {
  /** Undoes it now, once; waits for the script to end. One that fails is left to the guard as well. */
  run(): void;
  /** Forgets it: it has been undone in another way. */
  forget(): void;
}

let guard: { readonly process: ChildProcess; readonly directory: string } | undefined;
let registered = 0;

/** Registers `script` (sh) to run when this process is gone, however it went. */
export function guardWith(script: string): Undo {
  guard ??= start();
  const path = join(guard.directory, `${String(registered++).padStart(8, "0")}.sh`);
  writeFileSync(path, script);
  let done = false;
  const forget = (): void => {
    if (done) return;
    done = true;
    unlinkSync(path);
  };
  return {
    forget,
    run() {
      if (done) return;
      const { status } = spawnSync("sh", ["-c", UNDO, path], { stdio: "ignore" });
      if (status === 0) forget();
    },
  };
}

/** The pid of this process's guard, for tests of the guard itself. */
export function guardPid(): number | undefined {
  return guard?.process.pid;
}

function start(): NonNullable<typeof guard> {
  const directory = mkdtempSync(join(tmpdir(), "lxcfs-guard-"));
  const child = spawn("sh", ["-c", GUARD, "lxcfs-test-guard", directory], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.unref();
  // The pipe must not keep the event loop alive, only the process's descriptor table.
  unref(child.stdin);
  child.on("error", () => rmSync(directory, { recursive: true, force: true }));
  return { process: child, directory };
}

/** Lets the process end though this is still open. */
export function unref(stream: unknown): void {
  if (hasUnref(stream)) stream.unref();
}

function hasUnref(value: unknown): value is { unref(): void } {
  return typeof value === "object" && value !== null && "unref" in value;
}
