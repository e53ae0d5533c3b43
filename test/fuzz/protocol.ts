/**
 * Fuzz target: decoder and dispatcher, with operations that look at all of a request. Nothing is
 * thrown but what a malformed message is told by, and the kernel would take every answer.
 */
import { MemoryChannel } from "../../src/fuse/memory_channel.ts";
import { Session } from "../../src/fuse/session.ts";
import { checkAnswers, MeantFailure, thoroughOperations } from "../../src/fuse/testing.ts";
import { MessageTooShort } from "../../src/fuse/wire/cursor.ts";
import { ForeignId } from "../../src/fuse/wire/request.ts";
import { messagesOf } from "./messages.ts";

const channel = new MemoryChannel();
const failures: unknown[] = [];
// One for all conversations, as a serving thread has it: the kernel's next may follow on any other.
const session = new Session(channel, thoroughOperations, {
  onError: (error) => failures.push(error),
  // Answers of 4 KiB: a full directory is listed 32 times as fast as with 128 KiB.
  maxPages: 1,
});

export function fuzz(input: Buffer): void {
  failures.length = 0;
  for (const message of messagesOf(input)) {
    // The channel's end: the kernel sends no empty message.
    if (message.length === 0) continue;
    channel.requests.push(message);
    channel.answers.length = 0;
    session.serveOne();
    checkAnswers(message, channel.answers);
  }
  const unmeant = failures.find((error) => !isMeant(error));
  if (unmeant !== undefined) throw unmeant;
}

/** Failures that a message can bring about, and is answered by. */
export function isMeant(error: unknown): boolean {
  if (error instanceof MessageTooShort || error instanceof ForeignId) return true;
  if (error instanceof MeantFailure) return true;
  // INIT of a protocol that is too old.
  return error instanceof Error && error.message.startsWith("Cannot serve protocol");
}
