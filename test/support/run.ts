/** Running programs in tests: synchronous, bounded, and loud about failure. */
import { spawnSync } from "node:child_process";
import { patient } from "./wait.ts";

/** What a program did. */
export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** @default 30 s; times LXCFS_TEST_PATIENCE */
  readonly timeoutMs?: number;
  readonly input?: string | Uint8Array;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Runs `argv` to its end and returns what it said, whatever its exit code. */
export function tryRun(argv: readonly string[], options: RunOptions = {}): Result {
  const [program, ...rest] = argv;
  if (program === undefined) throw new Error("Cannot run an empty command");
  const result = spawnSync(program, rest, {
    encoding: "utf8",
    timeout: patient(options.timeoutMs ?? 30_000),
    killSignal: "SIGKILL",
    maxBuffer: 64 << 20,
    env: { ...process.env, LC_ALL: "C.UTF-8", ...options.environment },
    ...(options.input === undefined ? {} : { input: options.input }),
  });
  if (result.error && result.status === null && result.signal === null) {
    throw new Error(`Cannot run ${argv.join(" ")}`, { cause: result.error });
  }
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
}

/** Runs `argv` and returns its standard output. @throws Error with its stderr if it fails */
export function run(argv: readonly string[], options: RunOptions = {}): string {
  const { status, stdout, stderr } = tryRun(argv, options);
  if (status !== 0) {
    throw new Error(`${argv.join(" ")} ended with ${status}: ${stderr.trim() || stdout.trim()}`);
  }
  return stdout;
}

/** Whether `program` can be found in PATH. */
export function installed(program: string): boolean {
  return tryRun(["sh", "-c", 'command -v "$1"', "sh", program]).status === 0;
}
