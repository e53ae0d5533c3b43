/**
 * Samples load averages from the main thread. The modules that look at containers are loaded when
 * the first load average is asked for: a mount that nobody asks does not pay for them.
 */
import type { SampledWorld } from "../machine/load_sampler.ts";
import { SAMPLE_MS } from "../machine/load.ts";
import { sampleLoads, wantedKeys } from "../machine/load_sampler.ts";
import { SystemClock } from "../sys/clock.ts";
import { threadCpuMs } from "../sys/thread_time.ts";
import type { Logger } from "../sys/log.ts";
import type { ViewConfig } from "./config.ts";
import { historyOf } from "./filesystem_memory.ts";
import type { SharedState } from "./state.ts";

/** Goes on for as long as the process lives, and does not keep it alive. */
export function startLoadSampling(view: ViewConfig, state: SharedState, log: Logger): void {
  const clock = new SystemClock();
  const history = historyOf(state);
  let world: SampledWorld | undefined;
  let failed = false;

  const round = async (): Promise<number> => {
    if (wantedKeys(history, clock.monotonicMs()).length === 0) return SAMPLE_MS;
    if (world === undefined) {
      const { createWorld } = await import("./filesystem.ts");
      const { registry, machineOf } = createWorld(view, state);
      world = {
        history,
        machineOf,
        clock,
        cpuMs: threadCpuMs,
        containerOf: (key) => registry.get(key),
      };
    }
    return sampleLoads(world).nextMs;
  };

  const again = (afterMs: number): void => {
    setTimeout(() => {
      round().then(again, (error: unknown) => {
        if (!failed) log.warn("load averages stand still", { cause: String(error) });
        failed = true;
        again(SAMPLE_MS);
      });
    }, afterMs).unref();
  };
  again(SAMPLE_MS);
}
