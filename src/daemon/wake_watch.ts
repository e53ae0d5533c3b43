/** Says to the thread that waits (trigger_watch.ts) that there is more to wait for, or less. */
import { writeSync } from "node:fs";
import type { TriggerTable } from "./trigger_table.ts";

const ONE = new BigUint64Array([1n]);

export function wakeWatch(table: TriggerTable): void {
  const fd = table.wakeFd(process.pid);
  if (fd >= 0) writeSync(fd, ONE);
}
