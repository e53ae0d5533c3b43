/**
 * The longest answers there are: `cgroup.procs` of 10,000 processes in the cgroup tree
 * (`--enable-cgroup`), each number translated into the reader's pid namespace; and what another
 * container's reads of meminfo cost at the same time.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { basename, join } from "node:path";
import { mountedHierarchies } from "../../test/support/cgroup_tree.ts";
import { Container } from "../../test/support/container.ts";
import { Server } from "../../test/support/server.ts";
import { checksFor, compiled, type LoadResult, parseResult, runLoad } from "../load.ts";
import type { Options } from "../options.ts";

const PROCESSES = 10_000;
const MEMORY_BYTES = 256 << 20;
const OTHER_FILE = "proc/meminfo";

/** One hierarchy's list, in every round. */
export interface ListResult {
  /** The hierarchy's directory in the tree. */
  readonly hierarchy: string;
  readonly processes: number;
  /** Reads of the list: median and longest of each round. */
  readonly listMs: number[];
  readonly longestListMs: number[];
  /** Reads of another container's file, alone and beside reads of the list without pause. */
  readonly otherAloneP99Ms: number[];
  readonly otherBesideP99Ms: number[];
}

export async function runLists(
  options: Options,
  say: (line: string) => void,
): Promise<ListResult[]> {
  if (options.noOurs) return [];
  const args = [...options.serverArgs, "--enable-cgroup"];
  const server = await Server.start({ args });
  const containers: Container[] = [];
  let many: ChildProcess | undefined;
  try {
    const crowded = await Container.start();
    containers.push(crowded);
    const limits = { memoryBytes: MEMORY_BYTES };
    const other = await Container.start({ limits, mountpoint: server.mountpoint });
    containers.push(other);
    many = crowded.spawn([compiled("many"), String(PROCESSES)]);
    if (many.stdout === null) throw new Error("Cannot read what bench/many says");
    const [made] = (await once(many.stdout, "data")) as [Buffer];
    if (Number(made) !== PROCESSES) throw new Error(`Made ${made.toString()} processes`);
    const results: ListResult[] = [];
    for (const name of hierarchies()) {
      say(`lists: ${name}`);
      const list = join(server.mountpoint, "cgroup", name, crowded.cgroups.path, "cgroup.procs");
      results.push(await measureList(name, { crowded, other, list, options }));
    }
    return results;
  } finally {
    many?.kill("SIGKILL");
    for (const container of containers) container.stop();
    await server.stop();
  }
}

interface Setting {
  readonly crowded: Container;
  readonly other: Container;
  readonly list: string;
  readonly options: Options;
}

async function measureList(
  hierarchy: string,
  { crowded, other, list, options }: Setting,
): Promise<ListResult> {
  const result: ListResult = {
    hierarchy,
    processes: PROCESSES,
    listMs: [],
    longestListMs: [],
    otherAloneP99Ms: [],
    otherBesideP99Ms: [],
  };
  const { seconds } = options;
  const readOther = (): LoadResult =>
    sound(
      runLoad(other, `/${OTHER_FILE}`, {
        readers: 1,
        seconds,
        checks: checksFor(OTHER_FILE, MEMORY_BYTES / 1024),
      }),
    );
  for (let round = 0; round < options.rounds; round++) {
    const alone = sound(runLoad(crowded, list, { readers: 1, seconds }));
    result.listMs.push(alone.p50Ns / 1e6);
    result.longestListMs.push(alone.maxNs / 1e6);
    result.otherAloneP99Ms.push(readOther().p99Ns / 1e6);
    const [program = "", ...argv] = crowded.command([
      ...[compiled("load"), "-f", list, "-r", "1", "-s", String(seconds + 1)],
    ]);
    const beside = spawn(program, argv, { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    beside.stdout.on("data", (bytes: Buffer) => (said += bytes.toString()));
    result.otherBesideP99Ms.push(readOther().p99Ns / 1e6);
    await once(beside, "close");
    sound(parseResult(said));
  }
  return result;
}

/** @throws Error if a read failed or was wrong: then it is no result */
function sound(result: LoadResult): LoadResult {
  if (result.errors + result.wrong > 0) throw new Error(`A read failed: ${result.firstWrong}`);
  return result;
}

/** One hierarchy of each version, where there is one. */
function hierarchies(): string[] {
  const names = mountedHierarchies().map(({ version, mountpoint }) =>
    version === 2 ? "unified" : basename(mountpoint),
  );
  return ["memory", "unified"].filter((name) => names.includes(name));
}
