/** The benchmark's command line. */
import { parseArgs } from "node:util";

/** What to measure and for how long. */
export interface Options {
  /** How often each case runs; cases are interleaved. */
  readonly rounds: number;
  /** How long one case runs in one round, in seconds. */
  readonly seconds: number;
  readonly files: readonly string[];
  readonly readers: readonly number[];
  readonly scenarios: readonly string[];
  /** How many live containers the `many` scenario makes. */
  readonly containers: number;
  /** Fail where a target is missed. */
  readonly check: boolean;
  /** Leave Debian's lxcfs out. */
  readonly noPeer: boolean;
  /** Leave ours out: to look at the peer or the benchmark itself. */
  readonly noOurs: boolean;
  /** Where result and plot go; empty: nowhere. */
  readonly out: string;
  /** Further arguments for our server. */
  readonly serverArgs: readonly string[];
}

/** All scenarios, in the order they run. */
export const SCENARIOS: readonly string[] = ["read", "depth", "many", "lists", "start", "syscalls"];

/** Paths below a mountpoint that both servers have. */
export const FILES: readonly string[] = [
  "proc/meminfo",
  "proc/stat",
  "proc/cpuinfo",
  "proc/uptime",
  "proc/loadavg",
  "proc/swaps",
  "proc/diskstats",
  "sys/devices/system/cpu/online",
];

export const USAGE = `usage: npm run bench -- [options]
  --check              fail where a target of docs/performance.md is missed
  --quick              two files, three short rounds: a look, not a result
  --rounds N           interleaved rounds (default 5)
  --seconds S          seconds a case runs in one round (default 1)
  --files A,B          paths below the mountpoint (default: all both servers have)
  --readers 1,4,16     readers at once
  --scenarios A,B      of ${SCENARIOS.join(", ")} (default: all)
  --containers N       live containers in the scenario "many" (default 1000)
  --no-peer            leave Debian's lxcfs out
  --no-ours            leave this project out
  --server-args "..."  further arguments for this project's server
  --out DIR            where result and plot go ("" for nowhere; default: bench/results for a run
                       of all scenarios and files, nowhere for a part)
`;

/** @throws TypeError or RangeError saying which option is wrong */
export function parseOptions(argv: readonly string[], defaultOut: string): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      check: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      seconds: { type: "string" },
      files: { type: "string" },
      readers: { type: "string", default: "1,4,16" },
      scenarios: { type: "string" },
      containers: { type: "string", default: "1000" },
      "no-peer": { type: "boolean", default: false },
      "no-ours": { type: "boolean", default: false },
      "server-args": { type: "string", default: "" },
      out: { type: "string" },
    },
  });
  const { quick } = values;
  // What is kept is a whole: a look at a part must not take its place.
  const isWhole = [
    quick,
    values["no-peer"],
    values["no-ours"],
    values.files,
    values.scenarios,
  ].every((narrowed) => narrowed === false || narrowed === undefined);
  const scenarios = list(values.scenarios) ?? SCENARIOS;
  for (const name of scenarios) {
    if (!SCENARIOS.includes(name)) {
      throw new RangeError(`Unknown scenario "${name}": want one of ${SCENARIOS.join(", ")}`);
    }
  }
  return {
    rounds: positive("rounds", values.rounds ?? (quick ? "3" : "5")),
    seconds: positive("seconds", values.seconds ?? (quick ? "0.3" : "1")),
    files: list(values.files) ?? (quick ? FILES.slice(0, 2) : FILES),
    readers: (list(values.readers) ?? []).map((text) => positive("readers", text)),
    scenarios,
    containers: positive("containers", values.containers),
    check: values.check,
    noPeer: values["no-peer"],
    noOurs: values["no-ours"],
    out: values.out ?? (isWhole ? defaultOut : ""),
    serverArgs: values["server-args"].split(" ").filter((word) => word !== ""),
  };
}

function list(text: string | undefined): string[] | undefined {
  return text?.split(",").filter((word) => word !== "");
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new RangeError(`--${name} is "${text}": want a number above 0`);
  return value;
}
