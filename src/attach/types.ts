/** What is asked of the attach core, and what it answers. All of it is plain data that crosses threads. */

/** One file or directory to be shown in a container in place of the kernel's. */
export interface Binding {
  /** Absolute path on the host, in the caller's own mount namespace. */
  readonly source: string;
  /** Taken instead where `source` does not exist, the first of them that does. */
  readonly otherwise?: readonly string[];
  /** The filesystem itself decides what may be written, rather than a read-only mount. */
  readonly writable?: boolean;
  /** Absolute path as the container sees it. */
  readonly target: string;
}

/** What is to be done in one mount namespace. */
export interface Job {
  /**
   * `attach`: put every binding in place, all or nothing.
   * `heal`: replace what lies on the targets if it is of `deadDevices`, each for itself.
   * `detach`: take away every lxcfs mount that lies on the targets.
   * `probe`: ask the filesystem on the first target whether it answers.
   */
  readonly kind: "attach" | "heal" | "detach" | "probe";
  /** A process of that namespace, as `procRoot` numbers it. */
  readonly pid: number;
  readonly bindings: readonly Binding[];
  /**
   * The container's root directory as the namespace sees it, while the container is being made and
   * has not yet changed its root; otherwise "/".
   */
  readonly rootfs: string;
  /** Superblocks (`major:minor`) that no longer answer. */
  readonly deadDevices: readonly string[];
  /** Say what would be done, and do nothing. */
  readonly dryRun: boolean;
  readonly procRoot: string;
}

/** What became of one target. */
export type Did =
  | "attached"
  | "replaced"
  | "covered"
  | "detached"
  | "already"
  | "skipped"
  | "failed"
  | "undone";

export interface Step {
  readonly target: string;
  readonly did: Did;
  /** Why it was skipped or failed, or what was replaced. */
  readonly why?: string;
}

/**
 * What became of a job. `done`: everything is as asked, or would be (dry run). `refused`: not to be
 * done at all. `gone`: the process or its namespace no longer exists. `failed`: undone. `timeout`:
 * given up before anything was changed.
 */
export interface Outcome {
  readonly pid: number;
  readonly status: "done" | "refused" | "gone" | "failed" | "timeout";
  readonly steps: readonly Step[];
  readonly message: string | undefined;
  readonly milliseconds: number;
}
