/** Files of one number: `memory.current`, `memory.usage_in_bytes`, `cpuacct.usage`, `pids.current`. */

/** The number a file holds; `undefined` for a missing file (no text), a malformed or a negative one. */
export function parseSingleValue(text: string | undefined): number | undefined {
  const value = Number.parseInt(text ?? "", 10);
  return value >= 0 ? value : undefined;
}
