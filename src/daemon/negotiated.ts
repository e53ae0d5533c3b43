/**
 * What was agreed on with the kernel in INIT, kept for every later session of the connection: INIT
 * comes once in the life of a mount, and successors must know what it said.
 */
import type { Negotiated } from "../fuse/wire/init.ts";
import type { Connection } from "./slots.ts";
import type { SharedState } from "./state.ts";

const REGIONS: Readonly<Record<Connection, string>> = {
  main: "negotiated",
  cached: "negotiated-cached",
};
const REGION_BYTES = 1024;

/** Sets the regions aside; main thread only, before workers start. */
export function ensureNegotiated(state: SharedState): void {
  for (const name of Object.values(REGIONS)) state.ensureRegion(name, REGION_BYTES);
}

export function keepNegotiated(
  state: SharedState,
  connection: Connection,
  negotiated: Negotiated,
): void {
  const text = JSON.stringify(negotiated);
  const memory = memoryOf(state, connection);
  memory.fill(0);
  // The first byte last, since it says that the rest is there.
  memory.write(text.slice(1), 1, REGION_BYTES - 2, "latin1");
  memory.write(text[0] ?? "", 0, 1, "latin1");
  if (connection !== "main") return;
  state.set("protocolMinor", negotiated.minor);
  state.set("protocolMajor", negotiated.major);
}

/** Nothing before INIT. */
export function negotiatedOf(
  state: SharedState,
  connection: Connection = "main",
): Negotiated | undefined {
  const memory = memoryOf(state, connection);
  if (memory[0] === 0) return undefined;
  return JSON.parse(memory.toString("latin1", 0, memory.indexOf(0))) as Negotiated;
}

function memoryOf(state: SharedState, connection: Connection): Buffer {
  const { buffer, byteOffset, byteLength } = state.region(REGIONS[connection]);
  return Buffer.from(buffer, byteOffset, byteLength);
}
