/**
 * A file of a cgroup, or of the nearest cgroup above it that has one: where a controller is not
 * enabled for a cgroup, its ancestor's is what holds for it.
 */
import { existsSync } from "node:fs";
import type { HeldFile } from "../sys/held_file.ts";
import { cgroupFile } from "./cgroup_file.ts";
import { directoryId } from "./paths.ts";

/** One file name at every level from a cgroup up. */
export class HeldLevels {
  readonly #directory: string;
  readonly #files: readonly HeldFile[];

  /** @param levels directories, the cgroup's own first */
  constructor(levels: readonly string[], name: string) {
    this.#directory = levels[0] ?? "";
    this.#files = levels.map((level) => cgroupFile(`${level}/${name}`));
  }

  /**
   * Text of the nearest level's file; `undefined` if none has it or the cgroup itself is gone.
   * @param accept whether a text says anything; an empty cpuset, say, leaves it to the level above
   */
  read(accept?: (text: string) => boolean): string | undefined {
    for (const [i, file] of this.#files.entries()) {
      const text = file.read();
      if (text !== undefined) {
        if (accept && !accept(text)) continue;
        return text;
      }
      // Missing here, or unreadable, or is all of the cgroup gone? The numbers of an ancestor must
      // not stand in for those of a container that has ended or that could not be read once.
      if (i === 0 && (directoryId(this.#directory) === undefined || existsSync(file.path))) {
        return undefined;
      }
    }
    return undefined;
  }

  close(): void {
    for (const file of this.#files) file.close();
  }
}
