/**
 * Boots a machine the quick way: by restoring a state that was saved after a boot of the same
 * layout. The first boot of a layout takes some 40 s and leaves that state; later ones take one or two.
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Layout } from "./layout.ts";
import { Machine, MachineError, type MachineOptions } from "./machine.ts";

/** How long a booted guest rests before it is saved, so that it comes back with nothing to do. */
const SETTLE_MS = 8_000;

export type BootOptions = Omit<MachineOptions, "start" | "state">;

/** Restores, or boots where the options differ from those of the saved states or restoring fails. */
export async function boot(options: BootOptions): Promise<Machine> {
  const plain =
    options.cpus === undefined &&
    options.memoryMib === undefined &&
    options.swap === undefined &&
    options.moreKernelArguments === undefined;
  if (plain && process.env["LXCFS_VM_COLD"] !== "1") {
    try {
      const state = await savedState(options.images, options.layout);
      return await Machine.start({ ...options, start: "restore", state });
    } catch (error) {
      if (!(error instanceof MachineError)) throw error;
      process.stderr.write(`vm: booting afresh: ${error.message}\n`);
    }
  }
  return await Machine.start({ ...options, start: "cold" });
}

/** States that are being saved: machines that start side by side wait for the same one. */
const saving = new Map<string, Promise<string>>();

/** The folder of a layout's saved state, made now if there is none. */
async function savedState(images: string, layout: Layout): Promise<string> {
  const made = saving.get(layout) ?? saveState(images, layout).finally(() => saving.delete(layout));
  saving.set(layout, made);
  return await made;
}

async function saveState(images: string, layout: Layout): Promise<string> {
  const state = join(images, `state-${layout}`);
  if (existsSync(state)) return state;
  const making = join(images, `state-${layout}.${process.pid}`);
  mkdirSync(making, { recursive: true });
  try {
    writeFileSync(join(making, "ram"), "");
    truncateSync(join(making, "ram"), 2048 * 1024 * 1024);
    makeOverlay(join(images, "root.ext4"), join(making, "root.qcow2"));
    const machine = await Machine.start({ layout, images, start: "save", state: making });
    try {
      await sleep(SETTLE_MS);
      await machine.save(making);
    } finally {
      await machine.stop();
    }
    for (const name of readdirSync(making)) chmodSync(join(making, name), 0o444);
    if (existsSync(state)) return state; // someone else was quicker
    renameSync(making, state);
    return state;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

function makeOverlay(base: string, overlay: string): void {
  const made = spawnSync(
    "qemu-img",
    ["create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, overlay],
    {
      encoding: "utf8",
    },
  );
  if (made.status !== 0) throw new Error(`Cannot make the disk ${overlay}: ${made.stderr}`);
}
