/** One machine with the project in it, for as long as something runs. */
import { boot, type BootOptions } from "./boot.ts";
import { buildImages } from "./images.ts";
import type { Machine } from "./machine.ts";
import { stageProject } from "./project.ts";

/** Exit status for "this machine cannot do it", the convention of Automake's test driver. */
export const SKIPPED = 77;

/** The bench itself failed. */
export const BENCH_FAILED = 125;

/**
 * Boots a machine that shares the project, hands it to `use`, ends it whatever happens: also on
 * SIGINT, SIGTERM and SIGHUP.
 * @returns what `use` returns, or why there can be no machine here
 */
export async function withMachine<T>(
  options: Omit<BootOptions, "images">,
  use: (machine: Machine) => Promise<T>,
): Promise<T | { readonly unavailable: string }> {
  const images = buildImages();
  if ("unavailable" in images) return images;
  const project = stageProject();
  let machine: Machine | undefined;
  const end = async () => {
    await machine?.stop();
    project.remove();
  };
  const onSignal = (signal: NodeJS.Signals) => {
    const status = signal === "SIGINT" ? 130 : signal === "SIGTERM" ? 143 : 129;
    void end().finally(() => process.exit(status));
  };
  const signals: NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, onSignal);
  try {
    const shares = [project.share, ...(options.shares ?? [])];
    machine = await boot({ ...options, images: images.folder, shares });
    return await use(machine);
  } finally {
    await end();
    for (const signal of signals) process.off(signal, onSignal);
  }
}

/** Whether `withMachine` had no machine. */
export function isUnavailable(result: unknown): result is { readonly unavailable: string } {
  return typeof result === "object" && result !== null && "unavailable" in result;
}
