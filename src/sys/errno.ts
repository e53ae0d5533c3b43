/** Error numbers of Linux (asm-generic; the same on x86-64 and arm64) and system call errors. */
import { constants } from "node:os";

/** Every errno by name, positive numbers: `errno.ENOENT === 2`. */
export const errno = constants.errno;

/** Name of an errno (`2 -> "ENOENT"`), or `errno 4095` for an unknown one. */
export function errnoName(code: number): string {
  for (const [name, value] of Object.entries(errno)) if (value === code) return name;
  return `errno ${code}`;
}

/** A system call that failed: what was being done, on what, and the errno found. */
export class SystemError extends Error {
  readonly errno: number;
  readonly code: string;

  constructor(doing: string, code: number) {
    super(`Cannot ${doing}: ${errnoName(code)}`);
    this.name = "SystemError";
    this.errno = code;
    this.code = errnoName(code);
  }
}

/** The errno (positive) carried by any thrown value, Node's own errors included; `fallback` if it has none. */
export function errnoOf(thrown: unknown, fallback: number = errno.EIO): number {
  if (typeof thrown !== "object" || thrown === null || !("errno" in thrown)) return fallback;
  const code = thrown.errno;
  return typeof code === "number" && code !== 0 ? Math.abs(code) : fallback;
}
