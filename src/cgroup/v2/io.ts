/**
 * I/O of a cgroup v2 by block device, Documentation/admin-guide/cgroup-v2.rst, `io.stat`:
 *
 *     8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0
 *     8:0
 *
 * Bytes and operations since the cgroup was made, the cgroups below included. Further pairs
 * (`cost.usage=`, `use_delay=`) belong to other controllers; a device may have no pairs at all.
 */
import type { HeldFile } from "../../sys/held_file.ts";
import { cgroupFile } from "../cgroup_file.ts";
import { Scanner } from "../../host/scanner.ts";
import { NO_IO } from "../device_io.ts";
import type { DeviceIo } from "../types.ts";

/** The io.stat of one cgroup. */
export class IoV2 {
  readonly #stat: HeldFile;

  /** @param directory the cgroup's */
  constructor(directory: string) {
    this.#stat = cgroupFile(`${directory}/io.stat`);
  }

  /** `undefined` without the io controller, or if the cgroup is gone. */
  read(): DeviceIo[] | undefined {
    const text = this.#stat.read();
    return text === undefined ? undefined : parseIoStat(text);
  }

  close(): void {
    this.#stat.close();
  }
}

const FIELDS: Readonly<Record<string, keyof DeviceIo>> = {
  rbytes: "readBytes",
  wbytes: "writeBytes",
  rios: "readIos",
  wios: "writeIos",
  dbytes: "discardBytes",
  dios: "discardIos",
};

/** Lines that do not begin with a device number are passed over. */
export function parseIoStat(text: string): DeviceIo[] {
  const scanner = new Scanner("io.stat", text);
  const devices: DeviceIo[] = [];
  for (; !scanner.atEnd(); scanner.nextLine()) {
    const major = scanner.number();
    if (Number.isNaN(major) || !scanner.take(":")) continue;
    const minor = scanner.number();
    if (Number.isNaN(minor)) continue;
    const device = { ...NO_IO, major, minor };
    while (!scanner.atLineEnd()) {
      const [key = "", value = ""] = scanner.word().split("=");
      const field = FIELDS[key];
      const count = Number.parseInt(value, 10);
      if (field !== undefined && count >= 0) device[field] = count;
    }
    devices.push(device);
  }
  return devices;
}
