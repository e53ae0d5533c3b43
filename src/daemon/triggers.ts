/**
 * Pressure triggers, as serving threads handle them: a write arms one on the container's own cgroup,
 * a poll asks whether it has gone off, the last close takes it away. Waiting is done elsewhere
 * (trigger_watch.ts): no thread here waits for anything.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import type { ContainerKey } from "../caller/container_key.ts";
import type { ContainerRegistry } from "../caller/registry.ts";
import { statusField } from "../host/proc_status.ts";
import {
  formatPressureTrigger,
  parsePressureTrigger,
  type PressureTrigger,
} from "../machine/pressure_trigger.ts";
import { errno, errnoOf } from "../sys/errno.ts";
import { opening } from "../sys/exhaustion.ts";
import { POLL } from "../sys/native.ts";
import { tryReadFile } from "../sys/read.ts";
import { ALWAYS_READY, type NodeEvents } from "../vfs/node_events.ts";
import { pressureResourceOf } from "../views/proc/pressure.ts";
import { FIRED, type TriggerTable } from "./trigger_table.ts";
import { wakeWatch } from "./wake_watch.ts";

const CAP_SYS_RESOURCE = 24;

export interface TriggerParts {
  /** `undefined`: the mount does not offer triggers. */
  readonly table: TriggerTable | undefined;
  readonly registry: ContainerRegistry;
  readonly procRoot: string;
}

export class PressureTriggers implements NodeEvents {
  readonly canPoll: boolean;
  readonly #parts: TriggerParts;

  constructor(parts: TriggerParts) {
    this.#parts = parts;
    this.canPoll = parts.table !== undefined;
  }

  has(local: number): boolean {
    return pressureResourceOf(local) !== undefined;
  }

  write(handle: number, reader: number, local: number, pid: number, data: Buffer): number {
    const { table, registry, procRoot } = this.#parts;
    if (table === undefined) return -errno.EINVAL;
    const privileged = maySetAnyWindow(procRoot, pid);
    const trigger = parsePressureTrigger(data.toString("latin1"), privileged);
    if (trigger === undefined) return -errno.EINVAL;
    // The kernel's answer to a second trigger of one open file.
    if (handle === 0 || table.find(handle) >= 0) return -errno.EBUSY;
    try {
      const path = pressurePath(registry, procRoot, reader, local);
      const fd = armTrigger(path, trigger);
      const added = table.add({
        ...trigger,
        handle,
        container: reader,
        local,
        space: 0,
        fd,
        pid: process.pid,
      });
      if (!added) {
        closeSync(fd);
        return -errno.ENOMEM;
      }
    } catch (error) {
      return -errnoOf(error);
    }
    wakeWatch(table);
    return data.length;
  }

  poll(handle: number, _local: number, kh: number, waits: boolean): number {
    const { table } = this.#parts;
    const index = table?.find(handle) ?? -1;
    if (table === undefined || index < 0) return ALWAYS_READY | POLL.ERR | POLL.PRI;
    // First the waiter, then the question: what goes off in between wakes it.
    if (waits) table.setWaiter(index, kh);
    switch (table.take(index)) {
      case FIRED.yes:
        return ALWAYS_READY | POLL.PRI;
      case FIRED.gone:
        return ALWAYS_READY | POLL.ERR | POLL.PRI;
      default:
        return ALWAYS_READY;
    }
  }

  close(handle: number): void {
    const { table } = this.#parts;
    const index = table?.find(handle) ?? -1;
    if (table === undefined || index < 0) return;
    table.release(index);
    wakeWatch(table);
  }
}

/** The pressure file of a container, or the host's where the container has none of its own. */
export function pressurePath(
  registry: ContainerRegistry,
  procRoot: string,
  reader: number,
  local: number,
): string {
  const resource = pressureResourceOf(local) ?? "cpu";
  const container = reader === 0 ? undefined : registry.get(reader as ContainerKey);
  return container?.cgroups.pressureFile(resource) ?? `${procRoot}/pressure/${resource}`;
}

/** Registers a trigger. @returns the descriptor that carries it @throws what the kernel says */
export function armTrigger(path: string, trigger: PressureTrigger): number {
  const fd = opening(() => openSync(path, "r+"));
  try {
    writeSync(fd, formatPressureTrigger(trigger));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function maySetAnyWindow(procRoot: string, pid: number): boolean {
  const effective = statusField(tryReadFile(`${procRoot}/${pid}/status`) ?? "", "CapEff");
  if (effective === undefined || !/^[0-9a-f]+$/.test(effective)) return false;
  return ((BigInt(`0x${effective}`) >> BigInt(CAP_SYS_RESOURCE)) & 1n) === 1n;
}
