/**
 * The cost of a read with many live containers, each reading in its turn, beside that with one; and
 * the memory the server then holds. Every container has read before, and every read is a rendering
 * of its own (`--freshness 0`): in turn, no two readers could share one.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { CgroupTree } from "../../test/support/cgroup_tree.ts";
import { guardWith } from "../../test/support/guard.ts";
import { checksFor, compiled, parseResult } from "../load.ts";
import { type Measurements, roundOf } from "../measurement.ts";
import type { Options } from "../options.ts";
import { cpuTimeNs, type MemoryKb, memoryKb } from "../processes.ts";
import type { Servers, SubjectName } from "../subjects.ts";

const MEMORY_BYTES = 256 << 20;
const FILE = "proc/meminfo";
const SUBJECTS = ["ours", "peer"] as const;

/** Memory of a server while the containers live: after the first round and after the last. */
export interface MemoryResult {
  readonly subject: SubjectName;
  readonly containers: number;
  readonly first: MemoryKb;
  readonly last: MemoryKb;
}

export async function runMany(
  servers: Servers,
  options: Options,
  measurements: Measurements,
  say: (line: string) => void,
): Promise<MemoryResult[]> {
  const directory = mkdtempSync(join(tmpdir(), "lxcfs-bench-"));
  guardWith(`rm -rf --one-file-system '${directory}'`);
  const results: MemoryResult[] = [];
  const groups: CgroupTree[] = [];
  const fleets: Fleet[] = [];
  const subjects = SUBJECTS.filter((subject) => servers.of(subject) !== undefined);
  const pids = (subject: SubjectName): number[] => servers.of(subject)?.pids() ?? [];
  try {
    for (const containers of [1, options.containers]) {
      say(`many: making ${containers} container${containers === 1 ? "" : "s"}`);
      const cgroups = new CgroupTree(`lxcfs-bench-${process.pid}-${containers}`);
      groups.push(cgroups);
      const list = join(directory, `${containers}.list`);
      writeFileSync(list, makeCgroups(cgroups, containers));
      const fleet = await Fleet.start(containers, list, bindings(servers, directory), options);
      fleets.push(fleet);
      for (const subject of subjects) await fleet.read("pass", join(directory, subject));
    }
    for (let round = 0; round < options.rounds; round++) {
      say(`many: round ${round + 1} of ${options.rounds}`);
      for (const fleet of fleets) {
        const { containers } = fleet;
        for (const subject of subjects) {
          const before = cpuTimeNs(pids(subject));
          const result = parseResult(await fleet.read("run", join(directory, subject)));
          const cpuNs = cpuTimeNs(pids(subject)) - before;
          measurements.take(
            {
              scenario: "many",
              subject,
              file: FILE,
              mode: "open",
              readers: 1,
              depth: 2,
              containers,
            },
            () => roundOf(`${subject} ${FILE}`, result, cpuNs),
          );
          if (round > 0) continue;
          const first = memoryKb(pids(subject));
          results.push({ subject, containers, first, last: first });
        }
      }
    }
    return results.map((one) => ({ ...one, last: memoryKb(pids(one.subject)) }));
  } finally {
    for (const fleet of fleets) fleet.stop();
    for (const cgroups of groups) cgroups.remove();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Each server's file -> a path of its own, as in a container. */
function bindings(servers: Servers, directory: string): string[] {
  return SUBJECTS.flatMap((subject) => {
    const server = servers.of(subject);
    if (server === undefined) return [];
    const path = join(directory, subject);
    writeFileSync(path, "");
    return [join(server.mountpoint, FILE), path];
  });
}

/** Makes `count` cgroups below the tree's, each with a limit; @returns one line of directories each. */
export function makeCgroups(cgroups: CgroupTree, count: number): string {
  let list = "";
  for (let i = 0; i < count; i++) {
    const path = cgroups.makeBelow(cgroups.path, `c${i}`);
    cgroups.limit({ memoryBytes: MEMORY_BYTES }, path);
    list += `${cgroups.directories(path).join(" ")}\n`;
  }
  return list;
}

/** A running bench/fleet.c. */
export class Fleet {
  readonly containers: number;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(containers: number, child: ChildProcess, lines: AsyncIterator<string>) {
    this.containers = containers;
    this.#process = child;
    this.#lines = lines;
  }

  /** @param binds pairs of source and target, bound in a mount namespace of the fleet's own */
  static async start(
    containers: number,
    list: string,
    binds: readonly string[],
    options: Pick<Options, "seconds">,
  ): Promise<Fleet> {
    const script = `ulimit -n 20000
while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done
shift
exec "$@"`;
    const argv = ["--mount", "--propagation", "private", "sh", "-ec", script, "sh", ...binds, "--"];
    argv.push(compiled("fleet"), "-l", list, "-s", String(options.seconds));
    argv.push(...checksFor(FILE, MEMORY_BYTES / 1024));
    const child = spawn("unshare", argv, { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const fleet = new Fleet(containers, child, lines);
    const said = await fleet.#line();
    if (said !== "ready") throw new Error(`The containers did not start: ${said}`);
    return fleet;
  }

  /** Reads `file` for the time of a round, or once in each container; @returns a JSON line. */
  async read(how: "run" | "pass", file: string): Promise<string> {
    this.#process.stdin?.write(`${how} ${file}\n`);
    return await this.#line();
  }

  stop(): void {
    this.#process.stdin?.end();
    this.#process.kill("SIGKILL");
  }

  async #line(): Promise<string> {
    const next = await this.#lines.next();
    if (next.done === true) throw new Error("The load generator of many containers ended");
    return next.value;
  }
}
