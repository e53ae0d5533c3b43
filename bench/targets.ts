/** What the figures must reach, and the check of a result against it. */
import type { Case } from "./measurement.ts";
import { type BenchResult, type Figure, ratio } from "./result.ts";
import { median } from "./statistics.ts";

/** One comparison: measured, wanted, and whether it holds; undefined if it was not measured. */
export interface Verdict {
  readonly target: string;
  readonly wanted: string;
  readonly measured: number | undefined;
  readonly met: boolean | undefined;
  /** What the floor reaches in the same rounds: no server in user space can do better. */
  readonly floor?: number;
}

/** Every target, judged by the median of the rounds' own ratios. */
export function judge(result: BenchResult): Verdict[] {
  return [
    ...againstPeer(result),
    ...againstOurselves(result),
    ...againstKernel(result),
    ...absolute(result),
    ...lists(result),
  ];
}

function againstPeer(result: BenchResult): Verdict[] {
  const files = new Set(
    result.measurements.filter(({ scenario }) => scenario === "read").map(({ file }) => file),
  );
  return [...files].flatMap((file) => {
    const compare = (figure: Figure, readers: number, wanted: Wanted): Verdict => {
      const of = { scenario: "read", file, mode: "open", readers } as const;
      const title = `${file}: ${FIGURE_TITLES[figure]}, ${readers} readers, to lxcfs`;
      const from = { ...of, subject: "ours" } as const;
      const peer = { ...of, subject: "peer" } as const;
      const { file: _, ...anyFile } = of;
      const floor = ratio(result, figure, { ...anyFile, subject: "floor" }, peer)?.median;
      const verdict = relative(result, title, figure, from, peer, wanted);
      return floor === undefined ? verdict : { ...verdict, floor };
    };
    const throughput = file === "proc/meminfo" || file === "proc/stat" ? 4 : 3;
    return [
      compare("opsPerSecond", 4, { atLeast: throughput }),
      compare("opsPerSecond", 16, { atLeast: throughput }),
      compare("p50Us", 1, { atMost: 0.6 }),
      compare("p99Us", 16, { atMost: 0.4 }),
      compare("serverCpuUs", 1, { atMost: 0.35 }),
      compare("serverCpuUs", 4, { atMost: 0.35 }),
    ];
  });
}

function againstOurselves(result: BenchResult): Verdict[] {
  const read = { scenario: "read", file: "proc/meminfo", readers: 1, subject: "ours" } as const;
  const open = { ...read, mode: "open" } as const;
  const nothing = { ...open, subject: "null" } as const;
  const verdicts = [
    relative(result, "meminfo: p50 to a null file", "p50Us", open, nothing, { atMost: 1.5 }),
    relative(result, "meminfo: held re-read to open", "p50Us", { ...read, mode: "held" }, open, {
      atMost: 1,
    }),
  ];
  const many = { scenario: "many", subject: "ours" } as const;
  const most = Math.max(...result.memory.map(({ containers }) => containers));
  for (const figure of ["p50Us", "serverCpuUs"] as const) {
    for (const file of ["proc/meminfo", "proc/stat"]) {
      const deep = { scenario: "depth", subject: "ours", file, depth: 16 } as const;
      const title = `${file}: ${FIGURE_TITLES[figure]}, 16 cgroups deep to 1`;
      verdicts.push(relative(result, title, figure, deep, { ...deep, depth: 1 }, { atMost: 1.5 }));
    }
    const title = `meminfo: ${FIGURE_TITLES[figure]}, 1,000 containers to 1`;
    const busy = { ...many, containers: most };
    verdicts.push(
      relative(result, title, figure, busy, { ...many, containers: 1 }, { atMost: 1.2 }),
    );
  }
  return verdicts;
}

function againstKernel(result: BenchResult): Verdict[] {
  return [1, 4].map((readers) => {
    const of = { scenario: "read", file: "proc/meminfo", mode: "open", readers } as const;
    const title = `attached meminfo: throughput, ${readers} readers, to the kernel's own`;
    const from = { ...of, subject: "attached" } as const;
    const to = { ...of, subject: "kernel" } as const;
    return relative(result, title, "opsPerSecond", from, to, { atLeast: 1 });
  });
}

function absolute(result: BenchResult): Verdict[] {
  const start = result.starts.find(({ subject }) => subject === "ours");
  const memory = result.memory
    .filter(({ subject }) => subject === "ours")
    .toSorted((a, b) => b.containers - a.containers)[0];
  return [
    verdict("start to first answered read, ms", start && median(start.firstReadMs), {
      atMost: 300,
    }),
    verdict(
      `RssAnon of all processes with ${memory?.containers ?? 1000} containers, MB`,
      memory && memory.last.rssAnon / 1000,
      { atMost: 60 },
    ),
    verdict(
      "RssAnon after the last round to after the first",
      memory && memory.last.rssAnon / memory.first.rssAnon,
      { atMost: 1.1 },
    ),
  ];
}

/** Of each hierarchy: what the list takes, and that nobody else waits for it to be made. */
function lists(result: BenchResult): Verdict[] {
  return result.lists.flatMap(({ hierarchy, processes, listMs, otherBesideP99Ms }) => {
    const name = `cgroup.procs of ${processes} processes, ${hierarchy}`;
    const stalled = otherBesideP99Ms.map((ms, round) => ms / (listMs[round] ?? NaN));
    return [
      verdict(`${name}: ms`, median(listMs), { atMost: 100 }),
      verdict(`p99 of others beside ${name}, to its own time`, median(stalled), { atMost: 0.5 }),
    ];
  });
}

type Wanted = { readonly atLeast: number } | { readonly atMost: number };

const FIGURE_TITLES: Readonly<Record<Figure, string>> = {
  opsPerSecond: "throughput",
  p50Us: "p50",
  p99Us: "p99",
  maxUs: "maximum",
  serverCpuUs: "server CPU per read",
};

function relative(
  result: BenchResult,
  title: string,
  name: Figure,
  of: Partial<Case>,
  to: Partial<Case>,
  wanted: Wanted,
): Verdict {
  return verdict(title, ratio(result, name, of, to)?.median, wanted);
}

function verdict(target: string, measured: number | undefined, wanted: Wanted): Verdict {
  const text = "atLeast" in wanted ? `>= ${wanted.atLeast}` : `<= ${wanted.atMost}`;
  if (measured === undefined || Number.isNaN(measured)) {
    return { target, wanted: text, measured: undefined, met: undefined };
  }
  const met = "atLeast" in wanted ? measured >= wanted.atLeast : measured <= wanted.atMost;
  return { target, wanted: text, measured, met };
}
