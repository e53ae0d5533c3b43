/** The version of the installed package. */
import { readFileSync } from "node:fs";

/** Of this program's own package.json. */
export function version(): string {
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
