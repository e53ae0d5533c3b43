/** Attaches to containers of this node and takes away again. */
import { bindingsFor } from "../../attach/served.ts";
import { lxcfsTargets } from "../../attach/find_mounts.ts";
import { containerNames } from "../../attach/identity.ts";
import type { AttachPool } from "../../attach/pool.ts";
import type { Binding, Job, Outcome } from "../../attach/types.ts";
import type { Boundary } from "../names.ts";
import { isWanted, type Wanted } from "./wanted.ts";

/** Whose machine a container is to see. */
export interface ViewOf {
  /** A process of that container, where it is not the one that is attached to. */
  of?: number;
  boundary?: Boundary;
}

/** Shows a container its own files; by pid as the host numbers processes. */
export class Attacher {
  readonly #pool: AttachPool;
  readonly #mountPoint: string;

  constructor(pool: AttachPool, mountPoint: string) {
    this.#pool = pool;
    this.#mountPoint = mountPoint;
  }

  /**
   * @param wanted which paths the container is to get
   * @param view whose it is to be
   */
  async attach(pid: number, wanted: Wanted, { of = pid, boundary }: ViewOf = {}): Promise<Outcome> {
    const names = containerNames("/proc");
    let bindings: Binding[];
    try {
      const name = boundary === "pod" ? names.nameAbove(of) : names.nameOf(of);
      bindings = bindingsFor(this.#mountPoint, name);
    } finally {
      names.close();
    }
    return await this.#run(
      "attach",
      pid,
      bindings.filter(({ target }) => isWanted(wanted, target)),
    );
  }

  /** Gives a container the kernel's own files back, whoever mounted over them. */
  async detach(pid: number): Promise<Outcome> {
    const targets = lxcfsTargets("/proc", pid);
    return await this.#run(
      "detach",
      pid,
      targets.map((target) => ({ source: "", target })),
    );
  }

  async #run(kind: Job["kind"], pid: number, bindings: Binding[]): Promise<Outcome> {
    return await this.#pool.run({
      ...{ kind, pid, bindings, rootfs: "/", deadDevices: [], dryRun: false },
      procRoot: "/proc",
    });
  }
}
