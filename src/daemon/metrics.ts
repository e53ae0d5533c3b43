/**
 * The counters as Prometheus text (exposition format 0.0.4). Written here and not by a metrics
 * library: all numbers already stand in shared memory, where they outlive the process, and a registry
 * of a library would be a second set of them that does not.
 */
import { keyToName, type ContainerKey } from "../caller/container_key.ts";
import { openDescriptors } from "../sys/descriptors.ts";
import { cacheSizes } from "./cache_sizes.ts";
import { type Counters, LATENCY_BOUNDS_US, RESULTS } from "./counters.ts";
import { historyOf, openFilesOf } from "./filesystem_memory.ts";
import type { SharedState, StateWord } from "./state.ts";
import { topReaders } from "./top_readers.ts";

type Labels = Readonly<Record<string, string>>;
type Kind = "counter" | "gauge" | "histogram";

/** Header words that are shown as they are. */
const WORD_METRICS: readonly (readonly [StateWord, string, Kind, string])[] = [
  ["restarts", "restarts_total", "counter", "Servers started because one died."],
  ["upgrades", "upgrades_total", "counter", "Takeovers by a new version."],
  ["failedUpgrades", "failed_upgrades_total", "counter", "Upgrades that left the old version."],
  ["resends", "resends_total", "counter", "Times the kernel was asked to resend requests."],
  ["replays", "replays_total", "counter", "Requests of a dead server that were executed again."],
  ["deadlineMisses", "deadline_misses_total", "counter", "Requests answered by the watchdog."],
  ["workerDeaths", "worker_deaths_total", "counter", "Serving threads that died of an exception."],
  ["mountsAdopted", "mounts_adopted_total", "counter", "Mounts taken over from another server."],
  ["mountsHealed", "mounts_healed_total", "counter", "Dead mounts replaced in containers."],
  ["refusedCalls", "refused_calls_total", "counter", "System calls refused to serving threads."],
  [
    "descriptorShortages",
    "descriptor_shortages_total",
    "counter",
    "Times that no descriptor was free and some were given back.",
  ],
  ["hostView", "host_view", "gauge", "Whether all callers are shown the host's values."],
  ["startSeconds", "start_time_seconds", "gauge", "When the mount was made, Unix time."],
];

/** Containers that are shown by name: a bound on the number of series. */
const TOP_READERS = 10;

/** @param workers threads that serve now */
export function metricsText(state: SharedState, counters: Counters, workers: number): string {
  const page = new Page();
  page.metric("info", "gauge", "Version and FUSE protocol of the server.", [
    [
      {
        version: state.text("version"),
        protocol: `${state.get("protocolMajor")}.${state.get("protocolMinor")}`,
      },
      1,
    ],
  ]);
  page.metric(
    "requests_total",
    "counter",
    "Reads by file and result.",
    [...counters.byFile()].flatMap(([file, counts]) =>
      RESULTS.map((result): [Labels, number] => [{ file, result }, counts[result]]),
    ),
  );
  page.metric(
    "container_reads_total",
    "counter",
    "Reads by container, of those that read most.",
    topReaders(state)
      .slice(0, TOP_READERS)
      .map(([key, reads]): [Labels, number] => [
        { container: keyToName(key as ContainerKey) },
        reads,
      ]),
  );
  const { counts, sumUs } = counters.latency();
  page.histogram(
    "request_duration_seconds",
    "Time from reading a request of any kind to its answer.",
    LATENCY_BOUNDS_US.map((us) => us / 1e6),
    counts,
    sumUs / 1e6,
  );
  page.metric("workers", "gauge", "Serving threads.", [[{}, workers]]);
  page.metric("containers_seen", "gauge", "Containers that have read and are still counted.", [
    [{}, topReaders(state).length],
  ]);
  const sizes: Readonly<Record<string, number>> = {
    ...cacheSizes(state),
    history: historyOf(state).count(),
    open_files: openFilesOf(state).count(),
  };
  page.metric(
    "cache_entries",
    "gauge",
    "Entries of each cache, all serving threads together.",
    Object.entries(sizes).map(([cache, entries]): [Labels, number] => [{ cache }, entries]),
  );
  for (const [word, name, kind, help] of WORD_METRICS) {
    page.metric(name, kind, help, [[{}, state.get(word)]]);
  }
  page.metric("resident_memory_bytes", "gauge", "Resident memory of the server process.", [
    [{}, process.memoryUsage.rss()],
  ]);
  page.metric("open_fds", "gauge", "Open descriptors of the server process.", [
    [{}, openDescriptors()],
  ]);
  return page.text;
}

/** Text that grows metric by metric. */
class Page {
  text = "";

  metric(name: string, kind: Kind, help: string, samples: readonly [Labels, number][]): void {
    this.#head(name, kind, help);
    for (const [labels, value] of samples) this.#sample(name, labels, value);
  }

  /** @param counts of each bucket by itself, and in the end of what is above all bounds */
  histogram(
    name: string,
    help: string,
    bounds: readonly number[],
    counts: readonly number[],
    sum: number,
  ): void {
    this.#head(name, "histogram", help);
    let below = 0;
    for (const [index, count] of counts.entries()) {
      below += count;
      this.#sample(`${name}_bucket`, { le: String(bounds[index] ?? "+Inf") }, below);
    }
    this.#sample(`${name}_sum`, {}, sum);
    this.#sample(`${name}_count`, {}, below);
  }

  #head(name: string, kind: Kind, help: string): void {
    this.text += `# HELP lxcfs_${name} ${help}\n# TYPE lxcfs_${name} ${kind}\n`;
  }

  #sample(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escapeLabel(text)}"`);
    this.text += `lxcfs_${name}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${value}\n`;
  }
}

function escapeLabel(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
