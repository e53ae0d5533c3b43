/** What a virtual file is: a name and a text made from a container's machine. */
import type { Host } from "../machine/host.ts";
import type { Machine } from "../machine/machine.ts";

export interface View {
  /** Path below the mount, and below `/` on the host. */
  readonly path: string;
  /** The file's own number in its node ids: never changed, never given to another file. */
  readonly local: number;
  /** Permission bits; those of the host's file. */
  readonly mode: number;
  /**
   * The file's text for this container.
   * @returns `undefined` where nothing is known of it: then the host's file is the best answer
   */
  render(machine: Machine): string | undefined;
  /** The file's text for callers in no container, where that is not the host's file as it is. */
  renderHost?(host: Host): string;
}
