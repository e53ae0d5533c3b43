/**
 * What was agreed on with the kernel in INIT, kept for every later session of the connection: INIT
 * comes once in the life of a mount, and successors must know what it said.
 */
import type { Negotiated } from "../fuse/wire/init.ts";
import type { SharedState } from "./state.ts";

const REGION = "negotiated";
const REGION_BYTES = 1024;

/** Sets the region aside; main thread only, before workers start. */
export function ensureNegotiated(state: SharedState): void {
  state.ensureRegion(REGION, REGION_BYTES);
}

export function keepNegotiated(state: SharedState, negotiated: Negotiated): void {
  const text = JSON.stringify(negotiated);
  const memory = memoryOf(state);
  memory.fill(0);
  memory.write(text, 0, REGION_BYTES - 1, "latin1");
  state.set("protocolMinor", negotiated.minor);
  // Last, since it says that the rest is there.
  state.set("protocolMajor", negotiated.major);
}

/** Nothing before INIT. */
export function negotiatedOf(state: SharedState): Negotiated | undefined {
  if (state.get("protocolMajor") === 0) return undefined;
  const memory = memoryOf(state);
  return JSON.parse(memory.toString("latin1", 0, memory.indexOf(0))) as Negotiated;
}

function memoryOf(state: SharedState): Buffer {
  const { buffer, byteOffset, byteLength } = state.region(REGION);
  return Buffer.from(buffer, byteOffset, byteLength);
}
