/** The process that is asked about: its container as the server finds it, and how it reads files. */
import { existsSync } from "node:fs";
import { lxcfsMounts } from "../attach/find_mounts.ts";
import { deviceOf, locate, LXCFS_TYPE, type Location } from "../attach/mount_table.ts";
import type { Container } from "../caller/container.ts";
import { ContainerRegistry } from "../caller/registry.ts";
import { CallerResolver } from "../caller/resolver.ts";
import { detectLayout, type CgroupLayout } from "../cgroup/layout.ts";
import { readPageBytes } from "../host/page_size.ts";
import { parseMountinfo, type Mount } from "../host/mountinfo.ts";
import { SystemClock } from "../sys/clock.ts";
import { readFile, tryReadFile } from "../sys/read.ts";
import { ExplainError } from "./error.ts";

const MAX_CONTAINERS = 512;

/** Containers of this machine, found as the server finds them. Holds descriptors: close it. */
export class Containers {
  readonly procRoot: string;
  readonly layout: CgroupLayout;
  readonly #registry: ContainerRegistry;
  readonly #resolver: CallerResolver;

  constructor(procRoot = "/proc") {
    this.procRoot = procRoot;
    this.layout = detectLayout(readFile(`${procRoot}/self/mountinfo`));
    this.#registry = new ContainerRegistry({
      ...{ procRoot, layout: this.layout, root: "" },
      maxContainers: MAX_CONTAINERS,
      pageBytes: readPageBytes(procRoot),
    });
    this.#resolver = new CallerResolver({
      ...{ procRoot, layout: this.layout, registry: this.#registry, clock: new SystemClock() },
      freshnessMs: 0,
      maxNamespaces: MAX_CONTAINERS,
    });
  }

  /** @returns `undefined` for a process in no container: it sees the host. @throws ExplainError */
  of(pid: number): Container | undefined {
    if (!existsSync(`${this.procRoot}/${pid}`)) {
      throw new ExplainError("unknown", `process ${pid} does not exist any more`);
    }
    return this.#resolver.resolve(pid);
  }

  close(): void {
    this.#resolver.close();
    for (const container of this.#registry.known()) container.close();
  }
}

/** How a process comes to a file. */
export type Attachment =
  /** The kernel's own file: nothing of lxcfs lies over it. */
  | "kernel"
  /** A common file, which answers by who reads. */
  | "by caller"
  /** A file below `containers/`, which answers for one container whoever reads. */
  | "by path";

/** What lies over `path` (absolute) in the mounts of a process. */
export function attachmentOf(mounts: readonly Mount[], path: string): Attachment {
  const device = lxcfsDeviceAt(mounts, path);
  if (device === undefined) return "kernel";
  return device.root.startsWith("/containers/") ? "by path" : "by caller";
}

/** Where in which lxcfs filesystem the process finds `path`; `undefined`: it is not lxcfs's. */
function lxcfsDeviceAt(mounts: readonly Mount[], path: string): Location | undefined {
  const devices = new Set(mounts.filter(({ type }) => type === LXCFS_TYPE).map(deviceOf));
  if (devices.size === 0) return undefined;
  const found = locate(mounts, path);
  return found && devices.has(found.device) ? found : undefined;
}

/** Mounts as process `pid` has them; none where they may not be read. */
export function mountsOf(procRoot: string, pid: number): Mount[] {
  return parseMountinfo(tryReadFile(`${procRoot}/${pid}/mountinfo`) ?? "");
}

/** How many lxcfs files a process has over its own, and of which kind. */
export interface AttachmentSummary {
  readonly files: number;
  readonly how: Attachment | "mixed";
  /** Superblocks (`major:minor`) they are of. */
  readonly devices: readonly string[];
  /** Whose directory below `containers/` they are of, where that is one for all. */
  readonly container: string | undefined;
}

export function summarizeAttachments(procRoot: string, pid: number): AttachmentSummary {
  const text = tryReadFile(`${procRoot}/${pid}/mountinfo`) ?? "";
  const all = text.includes(` ${LXCFS_TYPE} `) ? lxcfsMounts(text) : [];
  const mounts = all.filter(({ mountPoint }) => /^\/(?:proc|sys)\//.test(mountPoint));
  const kinds = new Set(
    mounts.map(({ root }) => (root.startsWith("/containers/") ? "by path" : "by caller")),
  );
  const [only, ...others] = kinds;
  const how = only === undefined ? "kernel" : others.length > 0 ? "mixed" : only;
  const owners = new Set(mounts.map(({ root }) => /^\/containers\/([^/]+)\//.exec(root)?.[1]));
  return {
    files: mounts.length,
    how,
    devices: [...new Set(mounts.map(deviceOf))],
    container: owners.size === 1 ? [...owners][0] : undefined,
  };
}
