/**
 * The thread that takes pages back from the kernel's cache when their time is over (see
 * `vfs/invalidations.ts`). It is one of its own because the kernel may make it wait for a read that
 * a serving thread has yet to answer.
 */
import { readSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { DeviceChannel } from "../fuse/channel.ts";
import { Notifier } from "../fuse/notify.ts";
import { monotonicMs } from "../sys/clock.ts";
import { POLL, pollFd } from "../sys/native.ts";
import { invalidationsOf } from "./filesystem_memory.ts";
import { openState } from "./state.ts";

/** What the main thread gives the invalidator. */
export interface InvalidatorOrder {
  readonly stateFd: number;
  readonly fuseFd: number;
  /** An event descriptor that is written to when there is something to do again. */
  readonly wakeFd: number;
}

/** So often it is seen to that there is nothing to do, at least. */
const LOOK_MS = 250;

function invalidate({ stateFd, fuseFd, wakeFd }: InvalidatorOrder): void {
  const list = invalidationsOf(openState(stateFd));
  const notifier = new Notifier(new DeviceChannel(fuseFd));
  const takeBack = (low: number, high: number): void => {
    // ENOENT: the kernel has forgotten the file already.
    notifier.invalInode((BigInt(high) << 32n) | BigInt(low));
  };
  const count = Buffer.alloc(8);
  // What a predecessor gave out, nobody knows when.
  list.takeDue(monotonicMs(), takeBack, true);
  for (;;) {
    const leftMs = list.takeDue(monotonicMs(), takeBack);
    if (leftMs !== Infinity) {
      pollFd(wakeFd, POLL.IN, Math.max(1, Math.ceil(leftMs)));
      continue;
    }
    if (!list.fallAsleep()) continue;
    // Not for ever: during an upgrade another server's thread may have been woken in place of this.
    if (pollFd(wakeFd, POLL.IN, LOOK_MS) === 0) continue;
    try {
      readSync(wakeFd, count, 0, 8, null);
    } catch {
      // Another wake-up has taken the count: the list is looked at in any case.
    }
  }
}

invalidate(workerData as InvalidatorOrder);
