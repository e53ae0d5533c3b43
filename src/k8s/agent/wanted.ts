/** Which paths a container is to get: plain data, since it is passed between processes. */

export interface Wanted {
  /** Paths by which a container asks for them, as `/proc/meminfo`. */
  paths: readonly string[];
  /** The files below `/proc/pressure`. */
  pressure: boolean;
  /** Whatever else is served and has no name of its own, except for `unasked`. */
  others: boolean;
  /** Paths that have a name and were not asked for by it. */
  unasked: readonly string[];
}

/** Everything that is served. */
export const EVERYTHING: Wanted = { paths: [], pressure: true, others: true, unasked: [] };

const PRESSURE = "/proc/pressure/";

export function isWanted(wanted: Wanted, path: string): boolean {
  if (wanted.paths.includes(path)) return true;
  if (path.startsWith(PRESSURE)) return wanted.pressure;
  return wanted.others && !wanted.unasked.includes(path);
}
