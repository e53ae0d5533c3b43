/**
 * systemd-nspawn and whatever else registers with systemd-machined: `/run/systemd/machines/<name>`
 * holds `LEADER=<pid>` and `CLASS=container`. Where machined does not run, the cgroup has the name.
 */
import { tryReadFile } from "../sys/read.ts";
import { asPid, namesIn, processExists } from "./state_files.ts";
import type { FoundContainer, Runtime } from "./types.ts";

export const nspawn: Runtime = {
  find({ run, proc }, scoped) {
    const found: FoundContainer[] = [];
    for (const name of namesIn(`${run}/systemd/machines`)) {
      // Beside each machine there is a link `unit:<its unit>` to it.
      if (name.includes(":")) continue;
      const text = tryReadFile(`${run}/systemd/machines/${name}`) ?? "";
      const pid = asPid(/^LEADER=(\d+)$/m.exec(text)?.[1]);
      if (!/^CLASS=container$/m.test(text) || pid === undefined) continue;
      if (processExists(proc, pid)) found.push({ runtime: "nspawn", id: name, name, pid });
    }
    const known = new Set(found.map(({ name }) => name));
    for (const { runtime, name: escaped, pid } of scoped) {
      const name = unescapeUnit(escaped);
      if (runtime === "nspawn" && !known.has(name)) found.push({ runtime, id: name, name, pid });
    }
    return found;
  },
};

/** systemd writes other characters than letters, digits, `:`, `_` and `.` of a unit's name as `\x2d`. */
function unescapeUnit(name: string): string {
  return name.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
