/** The empty record of a block device's I/O that v1 and v2 fill in. */
import type { DeviceIo } from "./types.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** A device's I/O while it is being gathered. */
export type DeviceIoDraft = Mutable<DeviceIo>;

export const NO_IO: Readonly<DeviceIoDraft> = {
  major: 0,
  minor: 0,
  readBytes: 0,
  writeBytes: 0,
  readIos: 0,
  writeIos: 0,
  discardBytes: 0,
  discardIos: 0,
  readMerges: 0,
  writeMerges: 0,
  readTimeMs: 0,
  writeTimeMs: 0,
};
