/**
 * The coverage-guided fuzzer: changes conversations of the corpus at random, and keeps those that
 * make code run that no other did. Why our own: Jazzer.js 4 needs glibc 2.38, which Debian 12 has not;
 * and V8 counts blocks without any change of the code.
 *
 *     npm run fuzz                                 both targets, ten minutes each
 *     npm run fuzz -- protocol --seconds 3600      decoder and dispatcher for an hour
 *     npm run fuzz -- filesystem --keep            what is found is added to fixtures/fuzz
 *
 * A finding is written to a file in the current directory; `--replay FILE` runs it again.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Coverage } from "./coverage.ts";
import { Mutator, randomOf } from "./mutate.ts";

export const TARGETS = ["protocol", "filesystem"] as const;
export type Target = (typeof TARGETS)[number];

/** Inputs between two looks at what has run: a look costs as much as hundreds of inputs. */
const BATCH = 256;
/** An input that takes more of a CPU would hold up a serving thread. */
const SLOW_MS = 1000;

export interface FuzzOptions {
  readonly run: Run;
  readonly corpus: readonly Buffer[];
  /** Whether the file of that URL counts. */
  readonly isMeasured: (url: string) => boolean;
  readonly seconds: number;
  readonly seed: number;
}

export interface FuzzResult {
  readonly runs: number;
  /** Blocks that the corpus alone makes run, and all in the end. */
  readonly blocksBefore: number;
  readonly blocks: number;
  /** New inputs, each of which made something run for the first time. */
  readonly found: readonly Buffer[];
}

/** An input that did what none may do. */
export class Finding extends Error {
  readonly input: Buffer;

  constructor(input: Buffer, cause: unknown) {
    super(`after ${input.length} bytes: ${cause instanceof Error ? cause.stack : String(cause)}`);
    this.name = "Finding";
    this.input = input;
  }
}

/** A target: does something with the input, and throws where something is wrong. */
export type Run = (input: Buffer) => void;

export async function loadTarget(target: Target): Promise<Run> {
  const module: unknown = await import(new URL(`./${target}.js`, import.meta.url).href);
  return (module as { fuzz: Run }).fuzz;
}

export function readCorpus(directory: string): Buffer[] {
  const names = readdirSync(directory).toSorted();
  return names.map((name) => readFileSync(join(directory, name)));
}

/** @throws Finding */
export function fuzz(options: FuzzOptions): FuzzResult {
  const { run } = options;
  const corpus = [...options.corpus];
  if (corpus.length === 0) throw new Error("Cannot fuzz: no input to begin with");
  const mutator = new Mutator(randomOf(options.seed));
  const coverage = new Coverage(options.isMeasured);
  const endMs = performance.now() + options.seconds * 1000;
  let runs = 0;
  const attempt = (input: Buffer): void => {
    const before = process.cpuUsage();
    try {
      run(input);
    } catch (error) {
      throw new Finding(input, error);
    }
    runs++;
    const { user, system } = process.cpuUsage(before);
    const tookMs = (user + system) / 1000;
    if (tookMs > SLOW_MS) throw new Finding(input, `it took ${tookMs.toFixed(0)} ms`);
  };
  try {
    for (const input of corpus) attempt(input);
    const seen = coverage.take();
    const blocksBefore = seen.size;
    const found: Buffer[] = [];
    while (performance.now() < endMs) {
      const batch = Array.from({ length: BATCH }, () => mutator.next(corpus));
      for (const input of batch) attempt(input);
      const news = without(coverage.take(), seen);
      if (news.size === 0) continue;
      for (const block of news) seen.add(block);
      const causes = causesOf(news, batch, { coverage, attempt });
      found.push(...causes);
      corpus.push(...causes);
    }
    return { runs, blocksBefore, blocks: seen.size, found };
  } finally {
    coverage.close();
  }
}

interface Rerun {
  readonly coverage: Coverage;
  readonly attempt: Run;
}

/** The inputs of `batch` that make `news` run, found by halving: each of them makes another one run. */
function causesOf(news: Set<string>, batch: readonly Buffer[], again: Rerun): Buffer[] {
  if (batch.length === 1) return [...batch];
  const middle = batch.length >> 1;
  const causes: Buffer[] = [];
  for (const half of [batch.slice(0, middle), batch.slice(middle)]) {
    for (const input of half) again.attempt(input);
    const ran = again.coverage.take();
    const caused = new Set([...news].filter((block) => ran.has(block)));
    if (caused.size === 0) continue;
    for (const block of caused) news.delete(block);
    causes.push(...causesOf(caused, half, again));
  }
  return causes;
}

function without(blocks: ReadonlySet<string>, others: ReadonlySet<string>): Set<string> {
  return new Set([...blocks].filter((block) => !others.has(block)));
}

function nameOf(input: Buffer): string {
  return createHash("sha1").update(input).digest("hex").slice(0, 16);
}

/** Where the corpus is in a checkout. */
export function corpusDirOf(target: Target): string {
  return fileURLToPath(new URL(`../../../fixtures/fuzz/${target}`, import.meta.url));
}

/** Fuzzes the program itself. @throws Finding */
export async function fuzzTarget(
  target: Target,
  seconds: number,
  seed: number,
): Promise<FuzzResult> {
  return fuzz({
    run: await loadTarget(target),
    corpus: readCorpus(corpusDirOf(target)),
    isMeasured: (url) => url.includes("/dist/src/"),
    seconds,
    seed,
  });
}

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "600" },
      seed: { type: "string", default: String(Date.now() >>> 0) },
      keep: { type: "boolean", default: false },
      replay: { type: "string" },
    },
    allowPositionals: true,
  });
  const wanted = TARGETS.filter(
    (target) => positionals.length === 0 || positionals.includes(target),
  );
  for (const target of wanted) {
    if (values.replay !== undefined) {
      (await loadTarget(target))(readFileSync(values.replay));
      continue;
    }
    const seed = Number(values.seed);
    try {
      const result = await fuzzTarget(target, Number(values.seconds), seed);
      const { runs, blocksBefore, blocks, found } = result;
      const counts = `${blocks} blocks, ${blocks - blocksBefore} more than by the corpus`;
      process.stdout.write(`${target}: ${runs} conversations, ${counts}, seed ${seed}\n`);
      if (!values.keep) continue;
      for (const input of found) writeFileSync(join(corpusDirOf(target), nameOf(input)), input);
    } catch (error) {
      if (!(error instanceof Finding)) throw error;
      const file = `fuzz-${target}-${nameOf(error.input)}`;
      writeFileSync(file, error.input);
      process.stderr.write(`${target}: ${error.message}\nwritten to ${file}; seed ${seed}\n`);
      return 1;
    }
  }
  return 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exit(await main(process.argv.slice(2)));
}
