/**
 * I/O of a cgroup v1 by block device, Documentation/admin-guide/cgroup-v1/blkio-controller.rst.
 * One file a quantity, one line a device and direction:
 *
 *     blkio.throttle.io_service_bytes_recursive     254:0 Read 4096
 *                                                   254:0 Write 8192
 *                                                   254:0 Discard 0
 *                                                   254:0 Total 12288
 *                                                   Total 12288
 *
 * The throttling layer counts only where a throttling rule is: up to Linux 6.8 for cgroups that have
 * one themselves, later for all cgroups once any has set one on that disk. Without, its files say 0
 * (seen on 6.1 and 6.18). The BFQ scheduler counts the disks it schedules, and merges and times only
 * in debug builds. For each disk the larger of both is what was seen. Pages written back later by
 * the kernel are charged to the top cgroup; with fsync(2) the process writes, and is charged, itself.
 * Bytes, operations, nanoseconds; `_recursive` counts the cgroups below, too.
 */
import type { HeldFile } from "../../sys/held_file.ts";
import { cgroupFile } from "../cgroup_file.ts";
import { Scanner } from "../../host/scanner.ts";
import { type DeviceIoDraft, NO_IO } from "../device_io.ts";
import type { DeviceIo } from "../types.ts";

type Field = Exclude<keyof DeviceIo, "major" | "minor">;

/** A file, the fields its directions go into, and by what they are divided. */
interface Quantity {
  readonly names: readonly string[];
  readonly read: Field;
  readonly write: Field;
  readonly discard?: Field;
  readonly unit: number;
}

const QUANTITIES: readonly Quantity[] = [
  {
    names: ["blkio.throttle.io_service_bytes_recursive", "blkio.bfq.io_service_bytes_recursive"],
    read: "readBytes",
    write: "writeBytes",
    discard: "discardBytes",
    unit: 1,
  },
  {
    names: ["blkio.throttle.io_serviced_recursive", "blkio.bfq.io_serviced_recursive"],
    read: "readIos",
    write: "writeIos",
    discard: "discardIos",
    unit: 1,
  },
  {
    names: ["blkio.bfq.io_merged_recursive"],
    read: "readMerges",
    write: "writeMerges",
    unit: 1,
  },
  {
    names: ["blkio.bfq.io_service_time_recursive"],
    read: "readTimeMs",
    write: "writeTimeMs",
    unit: 1e6,
  },
  {
    names: ["blkio.bfq.io_wait_time_recursive"],
    read: "readTimeMs",
    write: "writeTimeMs",
    unit: 1e6,
  },
];

/** The blkio files of one cgroup. */
export class IoV1 {
  readonly #quantities: readonly (Quantity & { readonly files: readonly HeldFile[] })[];

  /** @param directory the cgroup's in the hierarchy of `blkio` */
  constructor(directory: string) {
    this.#quantities = QUANTITIES.map((quantity) => ({
      ...quantity,
      files: quantity.names.map((name) => cgroupFile(`${directory}/${name}`)),
    }));
  }

  /** `undefined` if the kernel has none of the files, or the cgroup is gone. */
  read(): DeviceIo[] | undefined {
    const devices = new Map<string, DeviceIoDraft>();
    let found = false;
    for (const quantity of this.#quantities) {
      const texts = quantity.files.map((file) => file.read()).filter((text) => text !== undefined);
      found ||= texts.length > 0;
      addLargest(devices, quantity, texts.map(parseBlkio));
    }
    return found ? [...devices.values()] : undefined;
  }

  close(): void {
    for (const { files } of this.#quantities) for (const file of files) file.close();
  }
}

/** Adds to each device's fields the larger of what the sources of one quantity say. */
function addLargest(
  devices: Map<string, DeviceIoDraft>,
  quantity: Quantity,
  sources: readonly BlkioLine[][],
): void {
  const largest = new Map<string, BlkioLine>();
  for (const line of sources.flat()) {
    const key = `${line.major}:${line.minor} ${line.direction}`;
    if (line.value >= (largest.get(key)?.value ?? 0)) largest.set(key, line);
  }
  for (const { major, minor, direction, value } of largest.values()) {
    const field = fieldOf(quantity, direction);
    if (field === undefined) continue;
    const key = `${major}:${minor}`;
    let device = devices.get(key);
    if (!device) devices.set(key, (device = { ...NO_IO, major, minor }));
    device[field] += Math.floor(value / quantity.unit);
  }
}

function fieldOf(quantity: Quantity, direction: string): Field | undefined {
  switch (direction) {
    case "Read":
      return quantity.read;
    case "Write":
      return quantity.write;
    case "Discard":
      return quantity.discard;
    default:
      // Sync and Async count the same again, Total is the sum.
      return undefined;
  }
}

/** One line of a blkio file. */
export interface BlkioLine {
  readonly major: number;
  readonly minor: number;
  readonly direction: string;
  readonly value: number;
}

/** Lines that are not device, direction and number (the last, `Total`) are passed over. */
export function parseBlkio(text: string): BlkioLine[] {
  const scanner = new Scanner("blkio", text);
  const lines: BlkioLine[] = [];
  for (; !scanner.atEnd(); scanner.nextLine()) {
    const major = scanner.number();
    if (Number.isNaN(major) || !scanner.take(":")) continue;
    const minor = scanner.number();
    const direction = scanner.word();
    const value = scanner.number();
    if (minor >= 0 && value >= 0) lines.push({ major, minor, direction, value });
  }
  return lines;
}
