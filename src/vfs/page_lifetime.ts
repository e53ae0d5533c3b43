/**
 * For how long the kernel may give a page again without asking us.
 *
 * It is bound to the file's attributes. Each read(2) of a cached file begins with them
 * (`fuse_cache_read_iter` in `fs/fuse/file.c`): while they are valid, the page is given; when their time
 * is over, the reader asks for them (GETATTR), and if the time of modification has changed, drops the page
 * (AUTO_INVAL_DATA, `fuse_change_attributes` in `fs/fuse/inode.c`) and asks for a new one. So nobody has
 * to take pages back: what a killed server has given dies by itself, and no process waits in the kernel
 * for anything but its own read.
 *
 * The kernel counts that time in its own ticks (jiffies), rounded up and past the end of the last one. So
 * that no page is older than the freshness bound, what is told is shorter.
 */

export interface PageLifetime {
  /** How long attributes are valid, in seconds. */
  readonly attributesSeconds: number;
  /**
   * The time of modification changes once in so many milliseconds. When attributes end, all who read at
   * that moment ask; those of one step are told the same, and drop the page once.
   */
  readonly stepMs: number;
}

/** A step that is worth having: about as long as many readers take to ask. */
const LEAST_STEP_MS = 1;

/**
 * @param freshnessMs age that no page may exceed
 * @param tickMs the kernel's tick: 1, 4 or 10 ms, by how it was built
 */
export function pageLifetime(freshnessMs: number, tickMs: number): PageLifetime {
  const ticks = Math.floor((freshnessMs - LEAST_STEP_MS) / tickMs) - 1;
  // Too coarse a tick: each read asks, and shares the page all the same.
  if (ticks < 1) return { attributesSeconds: 0, stepMs: freshnessMs };
  // Half a tick less is rounded up to the same number of them, whatever is lost in between.
  return {
    attributesSeconds: ((ticks - 0.5) * tickMs) / 1000,
    stepMs: freshnessMs - (ticks + 1) * tickMs,
  };
}
