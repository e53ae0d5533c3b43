/** What is mounted, as the file mechanics see it: nodes with an owner and a number (node_id.ts). */

/** A node that exists. */
export interface FoundNode {
  readonly owner: number;
  readonly local: number;
  /** File type and permission bits. */
  readonly mode: number;
  /** Size shown by stat. A file's must not be 0: the kernel would answer sendfile(2) by itself. */
  readonly size: number;
  /** How long, in seconds, the kernel may take name and attributes for granted. */
  readonly validSeconds: number;
  /** For attributes alone, where they are valid for a shorter time than the name. */
  readonly attributesSeconds?: number;
}

export interface ListedNode {
  readonly name: string;
  readonly owner: number;
  readonly local: number;
  readonly mode: number;
}

/**
 * `pid` is the thread that asks. Owner 0 means "whoever asks".
 * Everything here is synchronous and may throw a system error, which becomes the answer.
 */
export interface NodeSource {
  /** `undefined` for a node that never was, or is gone. */
  stat(owner: number, local: number, pid: number): FoundNode | undefined;
  lookup(owner: number, local: number, name: string, pid: number): FoundNode | undefined;
  list(owner: number, local: number, pid: number): readonly ListedNode[];
  /** Target of a symbolic link. */
  readlink(owner: number, local: number, pid: number): string | undefined;
  /** Whose text the asking thread is to be given: a container's key, or 0 for the host's. */
  reader(owner: number, local: number, pid: number): number;
  /** The text of a file for `reader`; `undefined` if there is none to be had. */
  text(reader: number, local: number): Buffer | undefined;
}
