/** crun by itself: `/run/crun/<id>/status` is JSON with `pid` and `process-start-time` (ticks). */
import { asPid, dig, isSameProcess, namesIn, tryReadJson } from "./state_files.ts";
import type { FoundContainer, Runtime } from "./types.ts";

export const crun: Runtime = {
  find({ run, proc }) {
    const found: FoundContainer[] = [];
    for (const id of namesIn(`${run}/crun`)) {
      const status = tryReadJson(`${run}/crun/${id}/status`);
      const pid = asPid(dig(status, "pid"));
      if (pid === undefined || !isSameProcess(proc, pid, dig(status, "process-start-time")))
        continue;
      found.push({ runtime: "crun", id, name: id, pid });
    }
    return found;
  },
};
