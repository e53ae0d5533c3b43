/**
 * What the second connection shows: below its root the containers, and of each the files whose text
 * has a constant size. The files are those of `containers/<id>/`, by the same numbers.
 */
import type { FoundNode, ListedNode, NodeSource } from "../vfs/node_source.ts";
import type { FixedSizeView } from "../views/fixed_size.ts";
import { CONTAINERS, itemOf, ROOT } from "../views/tree.ts";

const HOST = 0;
const S_IFDIR = 0o040000;

export class CachedSource implements NodeSource {
  readonly #all: NodeSource;
  readonly #sizes: ReadonlyMap<string, FixedSizeView>;

  constructor(all: NodeSource, sizes: ReadonlyMap<string, FixedSizeView>) {
    this.#all = all;
    this.#sizes = sizes;
  }

  stat(owner: number, local: number, pid: number): FoundNode | undefined {
    // The root is the host's business, as the directory of containers is.
    if (owner === HOST) {
      if (local !== ROOT) return undefined;
      return { owner, local, mode: S_IFDIR | 0o700, size: 0, validSeconds: 86_400 };
    }
    return this.#cut(this.#all.stat(owner, local, pid));
  }

  lookup(owner: number, local: number, name: string, pid: number): FoundNode | undefined {
    if (owner === HOST) return this.#all.lookup(HOST, CONTAINERS, name, pid);
    return this.#cut(this.#all.lookup(owner, local, name, pid));
  }

  list(owner: number, local: number, pid: number): readonly ListedNode[] {
    if (owner === HOST) return this.#all.list(HOST, CONTAINERS, pid);
    return this.#all.list(owner, local, pid).filter((node) => this.#shows(node.local));
  }

  readlink(): undefined {
    return undefined;
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
    if (node === undefined || !this.#shows(node.local)) return undefined;
    const size = this.#sizes.get(itemOf(node.local)?.path ?? "")?.bytes;
    return size === undefined ? node : { ...node, size };
  }

  #shows(local: number): boolean {
    const path = itemOf(local)?.path;
    if (path === undefined) return false;
    if (local === ROOT || this.#sizes.has(path)) return true;
    for (const shown of this.#sizes.keys()) if (shown.startsWith(`${path}/`)) return true;
    return false;
  }
}
