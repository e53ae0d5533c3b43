/**
 * What the server writes to its log, told by whichever agent is there. The server outlives the
 * agent's pod, so it must not hold the container's own output: containerd (since 1.7) waits for that
 * to be closed before it takes a container for ended, and the pod would never go. So it is given a
 * file in the runtime directory, to append to, which holds what was not told yet: each agent passes
 * it on and empties it. No pipe: with no agent there to read, it would hold up the server.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";

/** More than this is not passed on at a time: what came first, which tells most. */
const MAX_BYTES = 256 * 1024;

/** A descriptor to append to the log with. */
export function openServerLog(runtimeDir: string): number {
  return openSync(`${runtimeDir}/server.log`, "a+", 0o600);
}

export class ServerLog {
  readonly #fd: number;
  readonly #write: (text: Buffer) => void;

  constructor(runtimeDir: string, write: (text: Buffer) => void = toStderr) {
    this.#fd = openServerLog(runtimeDir);
    this.#write = write;
  }

  /** Passes on what has come since the last time, by this agent or another. */
  tell(): void {
    const { size } = fstatSync(this.#fd);
    if (size === 0) return;
    const text = Buffer.alloc(Math.min(size, MAX_BYTES));
    const length = readSync(this.#fd, text, 0, text.length, 0);
    // Appended in this very moment, a line would be lost; it is not waited for.
    ftruncateSync(this.#fd, 0);
    this.#write(text.subarray(0, length));
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function toStderr(text: Buffer): void {
  try {
    writeSync(2, text);
  } catch {
    // A log that cannot be written is no reason to end.
  }
}
