/** One number of a file, and where it comes from. */

/** A field as it is shown, and why it is what it is. */
export interface Field {
  readonly name: string;
  /** Word for word as the file has it, unit included. */
  readonly value: string;
  /** Why, in words. */
  readonly rule: string;
  /** The kernel's file it was taken from; `undefined` where it is made of several, or of none. */
  readonly file?: string;
  /** The cgroup's level that decided, counted from the container's own, which is 1. */
  readonly level?: number;
  /** How many levels were looked at. */
  readonly levels?: number;
}

/** What a file is explained by. */
export interface Explanation {
  readonly path: string;
  /** One sentence about the whole. */
  readonly summary: string;
  readonly fields: readonly Field[];
}

/** Directory of a cgroup file, below the mounted hierarchy: what people call the cgroup. */
export function cgroupOf(file: string): string {
  const match = /^\/sys\/fs\/cgroup(?:\/(?:unified|[a-z_,]+))?(\/.*|)\/[^/]+$/.exec(file);
  const below = match?.[1];
  return below === undefined || below === "" ? "/" : below;
}

export function baseName(file: string): string {
  return file.slice(file.lastIndexOf("/") + 1);
}
