/**
 * runc by itself: `/run/runc/<id>/state.json` holds `init_process_pid` and `init_process_start`
 * (in ticks since boot, which tells a process from a later one with its number).
 */
import { asPid, dig, isSameProcess, namesIn, tryReadJson } from "./state_files.ts";
import type { FoundContainer, Runtime } from "./types.ts";

export const runc: Runtime = {
  find({ run, proc }) {
    const found: FoundContainer[] = [];
    for (const id of namesIn(`${run}/runc`)) {
      const state = tryReadJson(`${run}/runc/${id}/state.json`);
      const pid = asPid(dig(state, "init_process_pid"));
      if (pid === undefined || !isSameProcess(proc, pid, dig(state, "init_process_start")))
        continue;
      found.push({ runtime: "runc", id, name: id, pid });
    }
    return found;
  },
};
