/** What show and explain have in common: a file, and the process that reads it. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Status } from "../daemon/status.ts";
import { filePath } from "../explain/file_name.ts";
import { attachmentOf, mountsOf } from "../explain/subject.ts";
import { CommandError, EXIT, containerSubject, findMountPoint } from "./attach_common.ts";
import { findStatus } from "./mounts.ts";

/** Options that all of these commands take. */
export const SERVER_OPTIONS = {
  mountpoint: { type: "string" },
  "runtime-dir": { type: "string", default: "/run" },
  json: { type: "boolean", default: false },
} as const;

/** What was asked for. */
export interface Question {
  readonly pid: number;
  readonly label: string;
  /** Below the mount. */
  readonly path: string;
  readonly mountPoint: string;
  readonly runtimeDir: string;
  readonly json: boolean;
}

/** Reads `FILE --pid PID|--container NAME`. @throws CommandError, ExplainError, NameError */
export async function question(name: string, args: readonly string[]): Promise<Question> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { ...SERVER_OPTIONS, pid: { type: "string" }, container: { type: "string" } },
    allowPositionals: true,
  });
  const [file, ...rest] = positionals;
  if (file === undefined || rest.length > 0) {
    throw new CommandError(
      EXIT.usage,
      `one file is expected: try "lxcfs ${name} meminfo --pid PID"`,
    );
  }
  const path = filePath(file);
  const { pid, container } = values;
  if ((pid === undefined) === (container === undefined)) {
    throw new CommandError(EXIT.usage, "whose? Give --pid PID or --container NAME");
  }
  if (pid !== undefined && !/^[1-9]\d*$/.test(pid)) {
    throw new CommandError(EXIT.usage, `--pid takes a number, found "${pid}"`);
  }
  const subject =
    container === undefined
      ? { pid: Number(pid), label: `process ${pid}` }
      : containerSubject(container);
  if (!existsSync(`/proc/${subject.pid}`)) {
    throw new CommandError(EXIT.unknown, `process ${subject.pid} does not exist any more`);
  }
  const mountPoint = await findMountPoint(values.mountpoint);
  const runtimeDir = resolve(values["runtime-dir"]);
  return { ...subject, path, mountPoint, runtimeDir, json: values.json };
}

/** The server's own account; `undefined` where only its files can be asked. */
export async function statusOrNone(
  mountPoint: string | undefined,
  runtimeDir: string,
): Promise<Status | undefined> {
  try {
    return await findStatus(mountPoint, runtimeDir);
  } catch {
    return undefined;
  }
}

/** Says on stderr if the process does not read the served file but the kernel's. @param it the file here */
export function noteIfNotAttached(name: string, it: string, { pid, label, path }: Question): void {
  if (attachmentOf(mountsOf("/proc", pid), `/${path}`) !== "kernel") return;
  process.stderr.write(
    `lxcfs ${name}: note: ${label} has the kernel's own /${path}; "lxcfs attach ${pid}" gives it ${it}\n`,
  );
}
