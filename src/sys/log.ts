/**
 * Structured log lines to stderr: one line an event, `level message key=value ...`. The same event
 * is not repeated within a minute; how often it was held back is said when it next appears. Where
 * stderr is systemd's journal, a line begins with its priority, sd-daemon(3).
 */
import { fstatSync, writeSync } from "node:fs";

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Record<string, string | number | boolean | undefined>;

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };
/** Of syslog(3). */
const PRIORITY: Record<LogLevel, number> = { debug: 7, info: 6, warn: 4, error: 3 };

/** The level of that name. @throws RangeError */
export function logLevel(name: string): LogLevel {
  if (Object.hasOwn(RANK, name)) return name as LogLevel;
  throw new RangeError(`Cannot log at level "${name}": expected ${Object.keys(RANK).join(", ")}`);
}

const REPEAT_MS = 60_000;
const MAX_REMEMBERED = 256;

/** Writes what `least` and above says. Fields are for values; the message itself is a constant. */
export class Logger {
  readonly #least: LogLevel;
  readonly #write: (line: string) => void;
  readonly #nowMs: () => number;
  readonly #isJournal: boolean;
  readonly #seen = new Map<string, { atMs: number; held: number }>();

  constructor(
    least: LogLevel = "info",
    write: (line: string) => void = writeStderr,
    nowMs: () => number = () => performance.now(),
    isJournal: boolean = stderrIsJournal(process.env),
  ) {
    this.#least = least;
    this.#write = write;
    this.#nowMs = nowMs;
    this.#isJournal = isJournal;
  }

  /** Whether debug lines are written, for what is costly to tell. */
  get tellsDebug(): boolean {
    return this.#least === "debug";
  }

  debug(message: string, fields?: LogFields): void {
    this.#log("debug", message, fields);
  }
  info(message: string, fields?: LogFields): void {
    this.#log("info", message, fields);
  }
  warn(message: string, fields?: LogFields): void {
    this.#log("warn", message, fields);
  }
  error(message: string, fields?: LogFields): void {
    this.#log("error", message, fields);
  }

  #log(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (RANK[level] < RANK[this.#least]) return;
    const held = level === "info" || level === "debug" ? 0 : this.#heldBack(level + message);
    if (held < 0) return;
    const priority = this.#isJournal ? `<${PRIORITY[level]}>` : "";
    let line = `${priority}lxcfs: ${level}: ${message}`;
    for (const [key, value] of Object.entries(fields)) {
      if (value !== undefined) line += ` ${key}=${quote(String(value))}`;
    }
    if (held > 0) line += ` repeated=${held}`;
    this.#write(`${line}\n`);
  }

  /** How often `key` was held back since it was last written, or -1 to hold it back now. */
  #heldBack(key: string): number {
    const nowMs = this.#nowMs();
    const seen = this.#seen.get(key);
    if (seen && nowMs - seen.atMs < REPEAT_MS) {
      seen.held++;
      return -1;
    }
    if (this.#seen.size >= MAX_REMEMBERED) this.#seen.clear();
    this.#seen.set(key, { atMs: nowMs, held: 0 });
    return seen?.held ?? 0;
  }
}

function quote(value: string): string {
  return /^[\w./:@,+-]+$/.test(value) ? value : JSON.stringify(value);
}

/** systemd.exec(5): the journal's device and inode, which stderr is compared with. */
export function stderrIsJournal(
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  const stream = environment["JOURNAL_STREAM"];
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(2, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/** stderr may be closed or full; a log line is never worth a failed read. */
function writeStderr(line: string): void {
  try {
    writeSync(2, line);
  } catch {
    // Nowhere left to say it.
  }
}
