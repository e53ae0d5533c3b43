/**
 * `/proc/<pid>/mountinfo`, the mounts of a process, proc(5) and
 * Documentation/filesystems/proc.rst section 3.5:
 *
 *     35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
 *     27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
 *
 * Mount id, parent id, major:minor, root of the mount within its filesystem, mount point, mount
 * options, optional fields up to ` - `, filesystem type, source, superblock options. Space, tab,
 * newline and backslash in names are octal escapes (`\040`).
 */
import { readFile } from "../sys/read.ts";
import { Scanner } from "./scanner.ts";

/** One mount, in the file's order: a later one on the same mount point covers the earlier. */
export interface Mount {
  readonly id: number;
  readonly parentId: number;
  readonly major: number;
  readonly minor: number;
  /** Which directory of the filesystem is mounted; for cgroup mounts the cgroup, relative to the reader's cgroup namespace. */
  readonly root: string;
  readonly mountPoint: string;
  readonly options: string;
  /** `shared:N`, `master:N`, `propagate_from:N`, `unbindable`. */
  readonly optionalFields: readonly string[];
  readonly type: string;
  readonly source: string;
  readonly superOptions: string;
}

/** The mounts as process `pid` has them. @throws on a missing file, ParseError on a malformed one */
export function readMountinfo(procRoot: string, pid: number | "self" = "self"): Mount[] {
  return parseMountinfo(readFile(`${procRoot}/${pid}/mountinfo`));
}

/** @throws ParseError if a line is not a mount */
export function parseMountinfo(text: string): Mount[] {
  const scanner = new Scanner("mountinfo", text);
  const mounts: Mount[] = [];
  while (!scanner.atEnd()) {
    if (!scanner.atLineEnd()) mounts.push(parseMount(scanner));
    scanner.nextLine();
  }
  return mounts;
}

function parseMount(scanner: Scanner): Mount {
  const id = scanner.needNumber("a mount id");
  const parentId = scanner.needNumber("a parent mount id");
  const major = scanner.needNumber("a device number");
  scanner.need(":");
  const minor = scanner.needNumber("a minor device number");
  const root = unescapeMountField(scanner.word());
  const mountPoint = unescapeMountField(scanner.word());
  const options = scanner.word();
  const optionalFields: string[] = [];
  for (;;) {
    if (scanner.atLineEnd()) throw scanner.error('" - " before the filesystem type');
    const field = scanner.word();
    if (field === "-") break;
    optionalFields.push(field);
  }
  const type = unescapeMountField(scanner.word());
  const source = unescapeMountField(scanner.word());
  const superOptions = unescapeMountField(scanner.word());
  return {
    id,
    parentId,
    major,
    minor,
    root,
    mountPoint,
    options,
    optionalFields,
    type,
    source,
    superOptions,
  };
}

/** Takes back the kernel's octal escapes: `\040` is a space. */
export function unescapeMountField(field: string): string {
  if (!field.includes("\\")) return field;
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8) & 0xff),
  );
}
