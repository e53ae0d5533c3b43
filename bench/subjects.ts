/** What is compared: each subject is a way to read the same file from inside the same container. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { containerNames } from "../src/attach/identity.ts";
import { bindingsFor } from "../src/attach/served.ts";
import { Container } from "../test/support/container.ts";
import type { Limits } from "../test/support/cgroup_tree.ts";
import { guardWith } from "../test/support/guard.ts";
import { run } from "../test/support/run.ts";
import { Server } from "../test/support/server.ts";
import { Floor } from "./floor.ts";
import type { Options } from "./options.ts";

/**
 * `ours`: by caller; `attached`: the container's own node on our mount, as attach and the hooks bind
 * it; `null`: an empty file on our mount; `floor`: the least any server in user space costs (floor.c);
 * `kernel`: the container's own procfs.
 */
export type SubjectName = "ours" | "peer" | "null" | "floor" | "attached" | "kernel";

/** Names for people. */
export const SUBJECT_TITLES: Readonly<Record<SubjectName, string>> = {
  ours: "lxcfs-ts",
  peer: "lxcfs (C)",
  null: "null file",
  floor: "floor (C)",
  attached: "lxcfs-ts, attached",
  kernel: "kernel",
};

/** Our null file: answered from the same loop, without any content. */
export const NULL_FILE = ".null";

/** What serves a subject, for its CPU time and memory. */
export interface Serving {
  /** Its living processes. */
  pids(): number[];
}

/** The servers under comparison; ours and the peer may be left out. */
export class Servers {
  readonly ours: Server | undefined;
  readonly peer: Server | undefined;
  readonly floor: Floor;

  private constructor(ours: Server | undefined, peer: Server | undefined, floor: Floor) {
    this.ours = ours;
    this.peer = peer;
    this.floor = floor;
  }

  /** @param further arguments for ours, after those of the command line */
  static async start(options: Options, further: readonly string[] = []): Promise<Servers> {
    const args = [...options.serverArgs, ...further];
    const ours = options.noOurs ? undefined : await Server.start({ args });
    const peer = options.noPeer ? undefined : await Server.start({ kind: "peer" });
    return new Servers(ours, peer, await Floor.start());
  }

  /** The server that answers for a subject; the kernel has none. */
  of(subject: "ours" | "peer"): Server | undefined;
  of(subject: SubjectName): Serving | undefined;
  of(subject: SubjectName): Serving | undefined {
    if (subject === "kernel") return undefined;
    if (subject === "floor") return this.floor;
    return subject === "peer" ? this.peer : this.ours;
  }

  async stop(): Promise<void> {
    await this.ours?.stop();
    await this.peer?.stop();
    this.floor.stop();
  }
}

/** A container in which every subject's file has a path of its own. */
export class Stage {
  readonly container: Container;
  readonly #directory: string;
  readonly #paths: ReadonlyMap<string, string>;

  private constructor(container: Container, directory: string, paths: ReadonlyMap<string, string>) {
    this.container = container;
    this.#directory = directory;
    this.#paths = paths;
  }

  /** Each file is bound to a path of its own, as it would be over /proc: no lookups in a read. */
  static async set(
    servers: Servers,
    files: readonly string[],
    depth: number,
    limits: Limits,
  ): Promise<Stage> {
    const directory = mkdtempSync(join(tmpdir(), "lxcfs-bench-"));
    guardWith(`rm -rf --one-file-system '${directory}'`);
    const paths = new Map<string, string>();
    const binds = new Map<string, string>();
    const offer = (subject: SubjectName, file: string, source: string): void => {
      if (!existsSync(source)) return;
      const path = join(directory, subject, file);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, "");
      binds.set(path, source);
      paths.set(`${subject} ${file}`, path);
    };
    for (const file of files) {
      for (const subject of ["ours", "peer"] as const) {
        const server = servers.of(subject);
        if (server) offer(subject, file, join(server.mountpoint, file));
      }
      offer("floor", file, servers.floor.file);
      if (servers.ours) offer("null", file, join(servers.ours.mountpoint, NULL_FILE));
      paths.set(`kernel ${file}`, `/${file}`);
    }
    const container = await Container.start({ depth, limits, limitLevel: 1, binds });
    const stage = new Stage(container, directory, paths);
    for (const { target, sources } of servers.ours
      ? attachedSources(servers.ours, container)
      : []) {
      const file = target.slice(1);
      const source = sources.find((each) => existsSync(each));
      if (!files.includes(file) || source === undefined) continue;
      const path = join(directory, "attached", file);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, "");
      // In its mount namespace only: a process in the container does not find the source.
      run(["nsenter", "-t", `${container.initPid}`, "-m", "--", "mount", "--bind", source, path]);
      paths.set(`attached ${file}`, path);
    }
    return stage;
  }

  /** Where `subject`'s `file` is inside the container, if the subject has it. */
  path(subject: SubjectName, file: string): string | undefined {
    return this.#paths.get(`${subject} ${file}`);
  }

  stop(): void {
    this.container.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** What `lxcfs attach` would give the container, and where it would take it from, best first. */
function attachedSources(
  server: Server,
  container: Container,
): { target: string; sources: readonly string[] }[] {
  const names = containerNames("/proc");
  try {
    return bindingsFor(server.mountpoint, names.nameOf(container.initPid)).map((binding) => ({
      target: binding.target,
      sources: [binding.source, ...(binding.otherwise ?? [])],
    }));
  } finally {
    names.close();
  }
}
