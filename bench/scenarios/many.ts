/**
 * The cost of a read with many live containers, each reading in its turn, beside that with one; and
 * the memory the server then holds.
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
  try {
    for (const containers of [1, options.containers]) {
      say(`many: making ${containers} container${containers === 1 ? "" : "s"}`);
      const cgroups = new CgroupTree(`lxcfs-bench-${process.pid}-${containers}`);
      groups.push(cgroups);
      const list = join(directory, `${containers}.list`);
      writeFileSync(list, makeCgroups(cgroups, containers));
      for (const subject of SUBJECTS) {
        const server = servers.of(subject);
        if (server === undefined) continue;
        const source = join(server.mountpoint, FILE);
        fleets.push(await Fleet.start(subject, containers, list, source, directory, options));
      }
    }
    const first = new Map<Fleet, MemoryKb>();
    for (let round = 0; round < options.rounds; round++) {
      say(`many: round ${round + 1} of ${options.rounds}`);
      for (const fleet of fleets) {
        const { subject, containers } = fleet;
        const pids = (): number[] => servers.of(subject)?.pids() ?? [];
        const before = cpuTimeNs(pids());
        const result = parseResult(await fleet.run());
        const found = roundOf(`${subject} ${FILE}`, result, cpuTimeNs(pids()) - before);
        measurements.add(
          { scenario: "many", subject, file: FILE, mode: "open", readers: 1, depth: 2, containers },
          found,
        );
        if (!first.has(fleet)) first.set(fleet, memoryKb(pids()));
      }
    }
    for (const fleet of fleets) {
      const { subject, containers } = fleet;
      const last = memoryKb(servers.of(subject)?.pids() ?? []);
      results.push({ subject, containers, first: first.get(fleet) ?? last, last });
    }
  } finally {
    for (const fleet of fleets) fleet.stop();
    for (const cgroups of groups) cgroups.remove();
    rmSync(directory, { recursive: true, force: true });
  }
  return results;
}

/** Makes `count` cgroups below the tree's, each with a limit; @returns one line of directories each. */
function makeCgroups(cgroups: CgroupTree, count: number): string {
  let list = "";
  for (let i = 0; i < count; i++) {
    const path = cgroups.makeBelow(cgroups.path, `c${i}`);
    cgroups.limit({ memoryBytes: MEMORY_BYTES }, path);
    list += `${cgroups.directories(path).join(" ")}\n`;
  }
  return list;
}

/** A running bench/fleet.c. */
class Fleet {
  readonly subject: "ours" | "peer";
  readonly containers: number;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(
    subject: "ours" | "peer",
    containers: number,
    process: ChildProcess,
    lines: AsyncIterator<string>,
  ) {
    this.subject = subject;
    this.containers = containers;
    this.#process = process;
    this.#lines = lines;
  }

  static async start(
    subject: "ours" | "peer",
    containers: number,
    list: string,
    source: string,
    directory: string,
    options: Options,
  ): Promise<Fleet> {
    // Bound to a path of its own in a private mount namespace, as in a container.
    const path = join(directory, subject);
    writeFileSync(path, "");
    const script = `ulimit -n 20000; mount --bind "$1" "$2"; shift 2; exec "$@"`;
    const generator = [compiled("fleet"), "-l", list, "-f", path, "-s", String(options.seconds)];
    const argv = ["--mount", "--propagation", "private", "sh", "-ec", script, "sh", source, path];
    argv.push(...generator, ...checksFor(FILE, MEMORY_BYTES / 1024));
    const child = spawn("unshare", argv, { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const fleet = new Fleet(subject, containers, child, lines);
    const said = await fleet.#line();
    if (said !== "ready") throw new Error(`The containers did not start: ${said}`);
    return fleet;
  }

  /** One run; @returns its JSON line. */
  async run(): Promise<string> {
    this.#process.stdin?.write("run\n");
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
