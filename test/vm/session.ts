/** Machines with the project in them, for as long as something runs. */
import { guardWith } from "../support/guard.ts";
import { boot, type BootOptions } from "./boot.ts";
import { buildImages } from "./images.ts";
import type { Machine } from "./machine.ts";
import { stageProject } from "./project.ts";
import type { Share } from "./qemu.ts";

/** Exit status for "this machine cannot do it", the convention of Automake's test driver. */
export const SKIPPED = 77;

/** The bench itself failed. */
export const BENCH_FAILED = 125;

export type Boot = (options: Omit<BootOptions, "images">) => Promise<Machine>;

/**
 * Hands `use` what boots machines that share the project; ends them all whatever happens: also on
 * SIGINT, SIGTERM and SIGHUP.
 * @param more folders that each of them gets beside the project; they are taken away in the end
 * @returns what `use` returns, or why there can be no machine here
 */
export async function withMachines<T>(
  use: (boot: Boot) => Promise<T>,
  more: readonly Share[] = [],
): Promise<T | { readonly unavailable: string }> {
  const images = await buildImages();
  if ("unavailable" in images) return images;
  const project = stageProject();
  // SIGKILL takes the machines along (machine.ts), but not the folder.
  const folders = [project.share, ...more].map(({ hostPath }) => `'${hostPath}'`);
  const undo = guardWith(`rm -rf ${folders.join(" ")}`);
  const machines = new Set<Machine>();
  const end = async () => {
    await Promise.all([...machines].map((machine) => machine.stop()));
    undo.run();
  };
  const onSignal = (signal: NodeJS.Signals) => {
    const status = signal === "SIGINT" ? 130 : signal === "SIGTERM" ? 143 : 129;
    void end().finally(() => process.exit(status));
  };
  const signals: NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await use(async (options) => {
      const shares = [project.share, ...more, ...(options.shares ?? [])];
      const machine = await boot({ ...options, images: images.folder, shares });
      machines.add(machine);
      return machine;
    });
  } finally {
    await end();
    for (const signal of signals) process.off(signal, onSignal);
  }
}

/** As `withMachines`, with one machine that is booted already. */
export async function withMachine<T>(
  options: Omit<BootOptions, "images">,
  use: (machine: Machine) => Promise<T>,
): Promise<T | { readonly unavailable: string }> {
  return await withMachines(async (boot) => await use(await boot(options)));
}

/** Whether there was no machine. */
export function isUnavailable(result: unknown): result is { readonly unavailable: string } {
  return typeof result === "object" && result !== null && "unavailable" in result;
}
