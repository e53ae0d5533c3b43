/**
 * INIT, the first request of a mount: answered by the main thread of the first server, before any
 * thread serves. If that server died over it, its successor finds INIT in the slot.
 */
import type { Logger } from "../sys/log.ts";
import { Engine } from "./engine.ts";
import { negotiatedOf } from "./negotiated.ts";
import { type Connection, takeSlot } from "./slots.ts";
import type { SharedState } from "./state.ts";
import { abandonedSlots } from "./workers.ts";

/** @throws Error if the kernel speaks no protocol that is known here */
export function handshake(
  connection: Connection,
  fuseFd: number,
  idmap: boolean,
  state: SharedState,
  generation: number,
  log: Logger,
): void {
  const left = abandonedSlots(state, generation, connection).find((slot) => slot.busy);
  const slot = left ?? takeSlot(state, generation, connection);
  if (slot === undefined) throw new Error("Cannot answer INIT: no slot is free");
  const engine = new Engine(slot, { connection, fuseFd, idmap, state, operations: {}, log });
  if (left === undefined && !engine.receive()) throw new Error("Cannot answer INIT: not mounted");
  if (!engine.holdsInit) throw new Error("Cannot answer INIT: another request came first");
  engine.execute();
  slot.release();
  if (negotiatedOf(state, connection) === undefined) {
    throw new Error("Cannot answer INIT: the kernel speaks no FUSE protocol that is known here");
  }
}
