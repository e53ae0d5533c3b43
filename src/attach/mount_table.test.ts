import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseMountinfo } from "../host/mountinfo.ts";
import { lxcfsMounts } from "./find_mounts.ts";
import { locate, topmost } from "./mount_table.ts";

/** Of a container in which one dead mount has had a live one slipped beneath it. */
const MOUNTS = `\
20 1 254:0 / / rw,relatime - ext4 /dev/vda rw
21 20 0:60 / /proc rw,nosuid - proc proc rw
22 90 0:50 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw
23 21 0:50 /proc/stat /proc/stat rw - fuse.lxcfs lxcfs rw
24 23 0:12 / /proc/stat rw - tmpfs mask rw
30 20 0:70 / /var/lib/lxcfs rw - fuse.lxcfs lxcfs rw
31 20 0:71 / /var/lib/lxcfs\\0402 rw - tmpfs x rw
90 21 0:70 /containers/812/proc/meminfo//deleted /proc/meminfo rw - fuse.lxcfs lxcfs rw
`;

void describe("a mount table", () => {
  const mounts = parseMountinfo(MOUNTS);

  void it("tells what lies on top, which neither order nor age tells", () => {
    assert.equal(topmost(mounts, "/proc/meminfo")?.id, 22);
    assert.equal(topmost(mounts, "/proc/stat")?.type, "tmpfs");
    assert.equal(topmost(mounts, "/nothing"), undefined);
  });

  void it("tells where a path lives", () => {
    const at = (path: string): string => Object.values(locate(mounts, path) ?? {}).join(" ");
    assert.equal(at("/var/lib/lxcfs/proc/stat"), "0:70 /proc/stat");
    assert.equal(at("/var/lib/lxcfs"), "0:70 /");
    assert.equal(at("/var/lib/lxcfs 2/x"), "0:71 /x");
    assert.equal(at("/var/lib/lxcfsx"), "254:0 /var/lib/lxcfsx");
    assert.equal(at("/proc/meminfo"), "0:50 /proc/meminfo");
  });

  void it("gives the lxcfs mounts that can be reached", () => {
    assert.deepEqual(
      lxcfsMounts(MOUNTS).map(({ id }) => id),
      [22, 30],
    );
  });
});
