/**
 * One container spins with many readers, another reads now and then: what the second one notices. Its
 * reads come one at a time with its own pace or as fast as they are answered, alone first, then beside
 * the spinning ones, in turns.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { compiled, type LoadResult, parseResult, runLoad } from "../../bench/load.ts";
import { Container } from "../support/container.ts";
import type { Server } from "../support/server.ts";

const FILE = "/proc/meminfo";
const SPINNING = 64;

export interface Fairness {
  readonly quietP99Ns: number;
  readonly crowdedP99Ns: number;
  /** Median over the rounds of crowded p99 to quiet p99. */
  readonly ratio: number;
  /** The least of the crowded p99s, that of the round which other programs disturbed least, to the median of the quiet ones. */
  readonly bestRatio: number;
  /** Reads a second of the second container while the first one spins, and those of the first. */
  readonly reads: number;
  readonly crowdReads: number;
}

/** In one line. */
export function describe(found: Fairness): string {
  const us = (ns: number): string => `${(ns / 1000).toFixed(0)} us`;
  return (
    `p99 of one reader: ${us(found.quietP99Ns)} alone, ${us(found.crowdedP99Ns)} beside ${SPINNING} ` +
    `of another container (${found.ratio.toFixed(1)} times, ${found.bestRatio.toFixed(1)} in the best round); ` +
    `${found.reads.toFixed(0)} reads/s beside ${found.crowdReads.toFixed(0)} of theirs`
  );
}

/** @param rounds quiet and crowded in turns, `seconds` each */
export async function measureFairness(
  server: Server,
  rounds: number,
  seconds: number,
): Promise<Fairness> {
  const containers: Container[] = [];
  try {
    for (const memoryBytes of [256 << 20, 128 << 20]) {
      const limits = { memoryBytes };
      containers.push(await Container.start({ limits, mountpoint: server.mountpoint }));
    }
    const [crowd, reader] = containers as [Container, Container];
    const quiet: LoadResult[] = [];
    const crowded: LoadResult[] = [];
    const spun: LoadResult[] = [];
    for (let round = 0; round < rounds; round++) {
      quiet.push(runLoad(reader, FILE, { readers: 1, seconds }));
      const spinning = crowd.spawn([
        ...[compiled("load"), "-f", FILE, "-r", String(SPINNING), "-s", String(seconds + 1)],
      ]);
      const result = resultOf(spinning);
      await new Promise((resolve) => setTimeout(resolve, 500));
      crowded.push(runLoad(reader, FILE, { readers: 1, seconds }));
      spun.push(await result);
    }
    for (const each of [...quiet, ...crowded, ...spun]) {
      if (each.errors + each.wrong > 0) throw new Error(`Reads failed: ${each.firstWrong}`);
    }
    const quietP99Ns = median(quiet.map(({ p99Ns }) => p99Ns));
    return {
      quietP99Ns,
      crowdedP99Ns: median(crowded.map(({ p99Ns }) => p99Ns)),
      ratio: median(crowded.map(({ p99Ns }, round) => p99Ns / (quiet[round]?.p99Ns ?? 1))),
      bestRatio: Math.min(...crowded.map(({ p99Ns }) => p99Ns)) / quietP99Ns,
      reads: median(crowded.map(({ ops }) => ops / seconds)),
      crowdReads: median(spun.map(({ ops }) => ops / (seconds + 1))),
    };
  } finally {
    for (const container of containers) container.stop();
  }
}

/** What a load generator that was started says at its end. */
export async function resultOf(process: ChildProcess): Promise<LoadResult> {
  let text = "";
  process.stdout?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  await once(process, "close");
  return parseResult(text);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
