/**
 * Fuzz target: the filesystem as the server serves it, without the kernel. Whatever is asked, by
 * whatever thread: no answer that the kernel would not take, and no failure that nobody expects.
 */
import { MemoryChannel } from "../../src/fuse/memory_channel.ts";
import type { Operations } from "../../src/fuse/operations.ts";
import { Session } from "../../src/fuse/session.ts";
import { checkAnswers } from "../../src/fuse/testing.ts";
import { DEFAULT_VIEW } from "../../src/daemon/config.ts";
import { CacheSizesRow, ensureCacheSizes } from "../../src/daemon/cache_sizes.ts";
import { Counters, ensureCounters } from "../../src/daemon/counters.ts";
import { createFilesystem } from "../../src/daemon/filesystem.ts";
import { ensureFilesystemMemory } from "../../src/daemon/filesystem_memory.ts";
import { ensureSlots } from "../../src/daemon/slots.ts";
import { createState } from "../../src/daemon/state.ts";
import { ensureTopReaders, ReaderRow } from "../../src/daemon/top_readers.ts";
import { Logger } from "../../src/sys/log.ts";
import { messagesOf } from "./messages.ts";
import { isMeant } from "./protocol.ts";

const state = createState();
ensureSlots(state);
ensureCounters(state);
ensureTopReaders(state);
ensureFilesystemMemory(state);
ensureCacheSizes(state);
const counters = new Counters(state);
const complaints: string[] = [];
export const { operations }: { operations: Operations } = createFilesystem({
  // Not the cgroup tree: what is asked of it is done, and this is a whole machine.
  view: { ...DEFAULT_VIEW, cgroupTree: false },
  state,
  log: new Logger("warn", (line) => complaints.push(line)),
  place: (file) => counters.place(file),
  row: counters.row(0),
  readers: new ReaderRow(state, 0),
  sizes: new CacheSizesRow(state, 0),
  late: () => false,
  slow: () => {},
});

const channel = new MemoryChannel();
const failures: unknown[] = [];
// One for all conversations, as a serving thread has it: the kernel's next may follow on any other.
const session = new Session(channel, operations, {
  onError: (error) => failures.push(error),
  // Answers of 4 KiB: a full directory is listed 32 times as fast as with 128 KiB.
  maxPages: 1,
});

export function fuzz(input: Buffer): void {
  failures.length = 0;
  for (const message of messagesOf(input)) {
    if (message.length === 0) continue;
    channel.requests.push(message);
    channel.answers.length = 0;
    session.serveOne();
    checkAnswers(message, channel.answers);
  }
  const unmeant = failures.find((error) => !isMeant(error));
  if (unmeant !== undefined) throw unmeant;
  const complaint = complaints.pop();
  if (complaint !== undefined) throw new Error(complaint);
}
