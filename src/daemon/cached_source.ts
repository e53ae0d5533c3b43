/**
 * What the second connection shows: `containers/<id>/` again, but only the files whose text has a
 * constant size. Paths and numbers are those of the first connection.
 */
import type { FoundNode, ListedNode, NodeSource } from "../vfs/node_source.ts";
import type { FixedSizeView } from "../views/fixed_size.ts";
import { CONTAINERS, itemOf, PID_LINK, PIDS, ROOT } from "../views/tree.ts";

const HOST = 0;
/** What others see is the host's business alone. */
const FIXED = { validSeconds: 86_400 } as const;
const HOST_ONLY = { owner: HOST, mode: 0o040700, size: 0, ...FIXED } as const;
const S_IFREG = 0o100000;

export class CachedSource implements NodeSource {
  readonly #all: NodeSource;
  readonly #sizes: ReadonlyMap<string, FixedSizeView>;

  constructor(all: NodeSource, sizes: ReadonlyMap<string, FixedSizeView>) {
    this.#all = all;
    this.#sizes = sizes;
  }

  stat(owner: number, local: number, pid: number): FoundNode | undefined {
    if (owner === HOST && local === ROOT) return { ...HOST_ONLY, local };
    const item = itemOf(local);
    const size = this.#sizes.get(item?.path ?? "")?.bytes;
    // Asked for many times a second, and by those who read on when the container is gone.
    if (size !== undefined && owner !== HOST) {
      return { owner, local, mode: S_IFREG | (item?.view?.mode ?? 0o444), size, ...FIXED };
    }
    return this.#cut(this.#all.stat(owner, local, pid));
  }

  lookup(owner: number, local: number, name: string, pid: number): FoundNode | undefined {
    return this.#cut(this.#all.lookup(owner, local, name, pid));
  }

  list(owner: number, local: number, pid: number): readonly ListedNode[] {
    const shown = ({ owner: whose, local: each }: ListedNode): boolean => this.#shows(whose, each);
    return this.#all.list(owner, local, pid).filter(shown);
  }

  readlink(owner: number, local: number, pid: number): string | undefined {
    return this.#all.readlink(owner, local, pid);
  }

  reader(owner: number): number {
    return owner;
  }

  text(reader: number, local: number): Buffer | undefined {
    const path = itemOf(local)?.path ?? "";
    const text = this.#all.text(reader, local);
    const fitted = text && this.#sizes.get(path)?.fit(text.toString("latin1"));
    return fitted === undefined ? undefined : Buffer.from(fitted, "latin1");
  }

  /** Directories on the way, and the files themselves at their constant size. */
  #cut(node: FoundNode | undefined): FoundNode | undefined {
    if (node === undefined || !this.#shows(node.owner, node.local)) return undefined;
    const size = this.#sizes.get(itemOf(node.local)?.path ?? "")?.bytes;
    return size === undefined ? node : { ...node, size };
  }

  #shows(owner: number, local: number): boolean {
    if (local === PID_LINK) return true;
    if (owner === HOST) return local === CONTAINERS || local === PIDS;
    const path = itemOf(local)?.path;
    if (path === undefined) return false;
    if (local === ROOT || this.#sizes.has(path)) return true;
    for (const shown of this.#sizes.keys()) if (shown.startsWith(`${path}/`)) return true;
    return false;
  }
}
