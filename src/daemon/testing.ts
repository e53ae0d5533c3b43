/** Shared memory for tests of what lies in it: one region, as two threads of a mount see it. */
import type { SharedState } from "./state.ts";

export function memoryOfOneRegion(): SharedState {
  let region: { buffer: ArrayBuffer; byteOffset: number; byteLength: number } | undefined;
  return {
    ensureRegion(_name: string, byteLength: number) {
      region = { buffer: new ArrayBuffer(byteLength), byteOffset: 0, byteLength };
    },
    region: () => region,
  } as unknown as SharedState;
}
