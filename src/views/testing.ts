/** What tests of rendered files start from. */
import type { CapturedMachine } from "../machine/testing.ts";
import { Newest, NEWEST_BYTES } from "./newest.ts";
import { Renderer } from "./renderer.ts";

/** Makes every text of a captured machine anew. @param onError told of views that threw */
export function rendererOf(captured: CapturedMachine, onError: (error: unknown) => void): Renderer {
  return new Renderer({
    host: captured.host,
    machineOf: () => captured.machine,
    nowMs: () => captured.clock.monotonicMs(),
    newest: new Newest(new ArrayBuffer(NEWEST_BYTES), 0),
    freshnessMs: 0,
    onError,
  });
}
