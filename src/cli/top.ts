/**
 * `lxcfs top`: containers live, with bars for CPU and memory against their limits, most used first.
 * Ends on q, Ctrl-C or a signal, and leaves the terminal as it was. Without a terminal it writes one
 * screen and ends.
 */
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { readMeminfo } from "../host/meminfo.ts";
import { readOnlineCpus } from "../host/cpus.ts";
import { type LiveRow, rowKey, screenLines, withUse } from "../explain/screen.ts";
import { Containers } from "../explain/subject.ts";
import { survey } from "../explain/survey.ts";
import { command, secondsToMs } from "./attach_common.ts";
import { SERVER_OPTIONS, statusOrNone } from "./explain_common.ts";
import { type Readers, readersOf } from "./readers.ts";

/** The first screen comes after so long, however long the interval is. */
const FIRST_MS = 300;

/** q, Q, Ctrl-C and Ctrl-D: in raw mode the terminal makes no signals of them. */
const QUIT_KEYS = [0x71, 0x51, 0x03, 0x04];

const ENTER = "\u001b[?1049h\u001b[?25l";
const LEAVE = "\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

export function run(args: readonly string[]): Promise<number> {
  return command("top", async () => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        mountpoint: SERVER_OPTIONS.mountpoint,
        "runtime-dir": SERVER_OPTIONS["runtime-dir"],
        interval: { type: "string", default: "2" },
        "no-color": { type: "boolean", default: false },
      },
    });
    const intervalMs = secondsToMs("interval", values.interval);
    const runtimeDir = resolve(values["runtime-dir"]);
    const live = process.stdout.isTTY;
    const plain = values["no-color"] || (process.env["NO_COLOR"] ?? "") !== "" || !live;
    const sampler = new Sampler(() => statusOrNone(values.mountpoint, runtimeDir));
    const stop = new AbortController();
    const restore = live ? takeTerminal(stop) : () => {};
    try {
      await sampler.next();
      for (let waitMs = Math.min(FIRST_MS, intervalMs); ; waitMs = intervalMs) {
        if (!(await wait(waitMs, stop.signal))) return 0;
        draw(await sampler.next(), live, !plain);
        if (!live) return 0;
      }
    } finally {
      restore();
      sampler.close();
    }
  });
}

/** @returns false if it was told to end meanwhile */
async function wait(ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false;
  try {
    await sleep(ms, undefined, { signal });
    return true;
  } catch {
    return false;
  }
}

/** The alternative screen, keys one by one. @returns what puts all of it back */
function takeTerminal(stop: AbortController): () => void {
  const { stdin, stdout } = process;
  const end = (): void => stop.abort();
  const onKey = (keys: Buffer): void => {
    if ([...keys].some((key) => QUIT_KEYS.includes(key))) end();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, end);
  stdout.on("error", end);
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.on("data", onKey);
  stdin.resume();
  stdout.write(ENTER);
  return () => {
    stdout.write(LEAVE);
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.off("data", onKey);
    stdin.pause();
  };
}

function draw(rows: readonly LiveRow[], live: boolean, color: boolean): void {
  const columns = process.stdout.columns ?? 80;
  const lines = screenLines(rows, {
    columns,
    rows: live ? (process.stdout.rows ?? 24) : rows.length + 4,
    color,
    hostMemoryBytes: (readMeminfo("/proc").get("MemTotal") ?? 0) * 1024,
    hostCpus: readOnlineCpus("/sys").length,
    title: `lxcfs top: ${rows.length} containers${live ? "; q quits" : ""}`,
  });
  if (!live) process.stdout.write(`${lines.join("\n")}\n`);
  else {
    const text = lines.map((line) => `${line}${CLEAR_LINE}`).join("\r\n");
    process.stdout.write(`${HOME}${text}${CLEAR_BELOW}`);
  }
}

/** Looks again and again, and tells what was used in between. */
class Sampler {
  readonly #ask: Parameters<typeof readersOf>[0];
  readonly #containers = new Containers();
  #usage = new Map<string, number>();
  #atMs = 0;
  #readers: Readers | undefined;

  constructor(ask: Parameters<typeof readersOf>[0]) {
    this.#ask = ask;
  }

  async next(): Promise<LiveRow[]> {
    const readers = await readersOf(this.#ask);
    const before = this.#readers;
    const nowMs = performance.now();
    const rows = survey(this.#containers);
    const live = withUse(rows, this.#usage, (nowMs - this.#atMs) / 1000, (container) =>
      readers && before ? readers.perSecondSince(before, container) : null,
    );
    this.#usage = new Map(rows.map((row) => [rowKey(row), row.cpuUsageUs ?? 0]));
    this.#atMs = nowMs;
    this.#readers = readers;
    return live;
  }

  close(): void {
    this.#containers.close();
  }
}
