/**
 * What a thread gives up before it looks at the first request: rights, and system calls. Both are a
 * thread's own on Linux. The main thread, which mounts and starts other programs, keeps what it has:
 * a filter would hold for those programs too, later versions of this one among them.
 */
import { capabilityBits } from "../sys/capabilities.ts";
import { errno, errnoOf } from "../sys/errno.ts";
import {
  POLL,
  pollFd,
  seccompAnswer,
  seccompFilter,
  seccompReceive,
  setThreadCapabilities,
  threadCapabilities,
} from "../sys/native.ts";
import { filterProgram, NOTE_BYTES, parseNote, REFUSE, refusal } from "../sys/seccomp.ts";
import { servingCapabilities } from "./capabilities.ts";
import type { ViewConfig } from "./config.ts";
import { FIRST_UNKNOWN_CALL, servingCalls, THIS_MACHINE } from "./serving_calls.ts";

/** What became of it. */
export interface Containment {
  /** Tells of refused calls; -1 where nobody is told. */
  readonly listenerFd: number;
  /** Why the thread may make every system call. */
  readonly unfiltered?: string;
}

/** The calling thread's, for good. */
export function containServingThread(view: ViewConfig): Containment {
  dropCapabilities(view);
  if (THIS_MACHINE === undefined) {
    return { listenerFd: -1, unfiltered: `no list of calls for ${process.arch}` };
  }
  const machine = THIS_MACHINE;
  const program = (refuse: number): Buffer =>
    filterProgram(machine, servingCalls(view.cgroupTree), FIRST_UNKNOWN_CALL, refuse);
  try {
    return { listenerFd: seccompFilter(program(REFUSE.notify), true) };
  } catch (error) {
    // EBUSY: whoever started us listens already; EINVAL: a kernel before 5.0.
    const code = errnoOf(error);
    if (code !== errno.EBUSY && code !== errno.EINVAL) {
      return { listenerFd: -1, unfiltered: String(error) };
    }
  }
  try {
    seccompFilter(program(REFUSE.errno | errno.EPERM), false);
    return { listenerFd: -1 };
  } catch (error) {
    return { listenerFd: -1, unfiltered: String(error) };
  }
}

function dropCapabilities(view: ViewConfig): void {
  const { permitted } = threadCapabilities();
  const kept = permitted & capabilityBits(servingCapabilities(view));
  setThreadCapabilities({ effective: kept, permitted: kept, inheritable: 0n });
}

/**
 * Lets a thread's refused calls return, with EPERM. For the main thread, every now and then: the
 * thread waits meanwhile, but calls that are not on the list are made by mistake or by an intruder.
 * @returns their numbers
 */
export function refuseCalls(listenerFd: number): number[] {
  const refused: number[] = [];
  while (pollFd(listenerFd, POLL.IN, 0) & POLL.IN) {
    const note = Buffer.alloc(NOTE_BYTES);
    try {
      seccompReceive(listenerFd, note);
      const { id, number } = parseNote(note);
      refused.push(number);
      seccompAnswer(listenerFd, refusal(id, errno.EPERM));
    } catch {
      // ENOENT: the thread has ended, or a signal took it out of the call.
      break;
    }
  }
  return refused;
}
