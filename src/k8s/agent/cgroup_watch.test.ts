import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { after, describe, it } from "node:test";
import type { SeenContainer } from "./cgroup_watch.ts";
import { CgroupWatch, classify } from "./cgroup_watch.ts";

const UID = "0d4c1c3a-3d6a-4c1e-9b57-9e0a1b2c3d4e";
const id = (digit: string) => digit.repeat(64);

describe("names of cgroups", () => {
  it("are those of kubelet and runtimes, with either driver", () => {
    const slice = `kubepods-burstable-pod${UID.replaceAll("-", "_")}.slice`;
    const cases: [string, ReturnType<typeof classify>][] = [
      [`pod${UID}`, { podUid: UID, level: false }],
      [slice, { podUid: UID, level: false }],
      [`kubepods-pod${UID.replaceAll("-", "_")}.slice`, { podUid: UID, level: false }],
      [
        "pod36b3bd1f9c2a4e0e8a5b1a2b3c4d5e6f",
        { podUid: "36b3bd1f9c2a4e0e8a5b1a2b3c4d5e6f", level: false },
      ],
      [id("a"), { containerId: id("a"), level: false }],
      [`cri-containerd-${id("b")}.scope`, { containerId: id("b"), level: false }],
      [`crio-${id("c")}.scope`, { containerId: id("c"), level: false }],
      [`docker-${id("d")}.scope`, { containerId: id("d"), level: false }],
      ["burstable", { level: true }],
      ["besteffort", { level: true }],
      ["kubepods-burstable.slice", { level: true }],
      ["kubelet-kubepods-besteffort.slice", { level: true }],
      ["system.slice", { level: false }],
      ["init.scope", { level: false }],
    ];
    for (const [name, expected] of cases) assert.deepEqual(classify(name), expected, name);
  });
});

describe("watch of cgroups", () => {
  const root = mkdtempSync(`${tmpdir()}/lxcfs-watch-`);
  after(() => rmSync(root, { recursive: true }));

  it("tells of what is there, and of each new container once and at once", async () => {
    const cgroupfs = `${root}/kubelet/kubepods`;
    mkdirSync(`${cgroupfs}/burstable/pod${UID}/${id("1")}`, { recursive: true });
    const seen: SeenContainer[] = [];
    const watch = new CgroupWatch(root, (container) => seen.push(container));
    watch.start();
    assert.deepEqual(seen, [
      { podUid: UID, id: id("1"), cgroup: `${cgroupfs}/burstable/pod${UID}/${id("1")}` },
    ]);
    mkdirSync(`${cgroupfs}/pod${UID.replace("0", "1")}`);
    await sleep(50);
    mkdirSync(`${cgroupfs}/pod${UID.replace("0", "1")}/${id("2")}`);
    mkdirSync(`${cgroupfs}/burstable/pod${UID}/${id("3")}`);
    mkdirSync(`${cgroupfs}/burstable/pod${UID}/${id("3")}/below`);
    await sleep(200);
    assert.deepEqual(seen.map((container) => container.id[0]).toSorted(), ["1", "2", "3"]);
    rmSync(`${cgroupfs}/burstable/pod${UID}`, { recursive: true });
    await sleep(100);
    watch.close();
  });
});
