import assert from "node:assert/strict";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { closeSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { localOf, MAX_LOCAL, nodeHigh, nodeLow, ownerOf } from "../vfs/node_id.ts";
import { Acting } from "./act_as.ts";
import { direntsOf, parseDirents } from "./dirents.ts";
import { nameOf, slotOf } from "./hierarchies.ts";
import { KnownNumbers } from "./known_numbers.ts";
import { FileNames, NAMES_BYTES } from "./names.ts";
import {
  ABOVE,
  isCgroupNode,
  localOfNode,
  MAX_DEPTH,
  MAX_NAMES,
  nodeOf,
  ownerOfNode,
  SLOTS,
} from "./node.ts";
import { PidNamespace, translateList } from "./pids.ts";

const root = process.getuid?.() === 0 ? false : "needs root";

test("a node's parts come back from its id", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 42 - 1 }),
      fc.nat(SLOTS - 1),
      fc.nat(MAX_DEPTH),
      fc.nat(ABOVE),
      (id, slot, depth, file) => {
        const node = { id, slot, depth, file };
        const [owner, local] = [ownerOfNode(node), localOfNode(node)];
        assert.ok(local <= MAX_LOCAL);
        const [low, high] = [nodeLow(owner, local), nodeHigh(owner)];
        assert.ok(isCgroupNode(ownerOf(low, high)));
        assert.deepEqual(nodeOf(ownerOf(low, high), localOf(low)), node);
        assert.ok(!isCgroupNode(id), "a container's key");
      },
    ),
  );
});

test("names have one number in every thread, and are found by it", () => {
  const region = new ArrayBuffer(NAMES_BYTES);
  const [one, two] = [new FileNames(region, 0), new FileNames(region, 0)];
  const numbers = new Map<number, string>();
  for (let index = 0; index < 300; index++) {
    const name = `controller.file_${index}`;
    const number = (index % 2 === 0 ? one : two).numberOf(name);
    assert.ok(number !== undefined && number > 0 && number < MAX_NAMES && !numbers.has(number));
    numbers.set(number, name);
    assert.equal(one.numberOf(name), number);
    assert.equal(two.numberOf(name), number);
  }
  for (const [number, name] of numbers) {
    assert.equal(one.nameOf(number), name);
    assert.equal(two.nameOf(number), name);
  }
});

test("a table of names that is full, and names that are none", () => {
  const names = new FileNames(new ArrayBuffer(NAMES_BYTES), 0);
  for (let index = 1; index < MAX_NAMES; index++) assert.ok(names.numberOf(`f${index}`));
  assert.equal(names.numberOf("one-too-many"), undefined);
  assert.ok(names.numberOf("f1"));
  assert.equal(names.numberOf(""), undefined);
  assert.equal(names.numberOf("x".repeat(200)), undefined);
  assert.equal(names.nameOf(0), undefined);
  assert.equal(names.nameOf(MAX_NAMES), undefined);
});

test("a place whose writer was killed stays unused", () => {
  const region = new ArrayBuffer(NAMES_BYTES);
  const probe = new FileNames(new ArrayBuffer(NAMES_BYTES), 0);
  const number = probe.numberOf("memory.max") ?? 0;
  new Int32Array(region)[number * 32] = 1;
  const names = new FileNames(region, 0);
  const other = names.numberOf("memory.max");
  assert.ok(other !== undefined && other !== number);
  assert.equal(names.nameOf(other), "memory.max");
});

test("hierarchies are named as they always were", () => {
  const of = (...controllers: string[]) =>
    ({ version: 1, controllers, mountPoint: "/x", mountRoot: "/" }) as const;
  assert.equal(nameOf(of("cpu", "cpuacct")), "cpu,cpuacct");
  assert.equal(nameOf(of("name=systemd")), "systemd");
  assert.equal(nameOf({ ...of(), version: 2 }), "unified");
  assert.equal(slotOf({ ...of(), version: 2 }), 0);
  assert.equal(slotOf(of("memory")), 5);
  assert.equal(slotOf(of("name=mine")), -1);
});

test("a directory's entries, and on from any of them", () => {
  const directory = mkdtempSync(join(tmpdir(), "lxcfs-dirents-"));
  const names = ["a", "ü", "x".repeat(255), "sub"];
  for (const name of names.slice(0, 3)) writeFileSync(join(directory, name), "");
  mkdirSync(join(directory, "sub"));
  const fd = openSync(directory, "r");
  try {
    const found = [...direntsOf(fd, Buffer.alloc(512))].map(
      ({ name, type }) => `${type} ${name.toString()}`,
    );
    assert.deepEqual(
      found.toSorted(),
      [
        "directory .",
        "directory ..",
        "directory sub",
        ...names.slice(0, 3).map((n) => `file ${n}`),
      ].toSorted(),
    );
  } finally {
    closeSync(fd);
    rmSync(directory, { recursive: true });
  }
});

test("whatever bytes are taken for entries, they end", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.ok([...parseDirents(Buffer.from(bytes))].length <= bytes.length);
    }),
  );
});

test("a list of processes is translated; the invisible are left out", () => {
  const table = new Map([
    [100, 1],
    [2_000_000, 3_999_999],
    [7, 12],
  ]);
  const namespace = { toInside: (pid: number) => table.get(pid) };
  const text = Buffer.from("100\n5\n7\n2000000\n");
  assert.equal(translateList(text, namespace).toString(), "1\n12\n3999999\n");
  assert.equal(translateList(Buffer.alloc(0), namespace).length, 0);
});

test("both ways of translation say the same of the own namespace", () => {
  const known = new KnownNumbers("/proc");
  // Read, remembered, and asked of the kernel where that translates.
  for (const ioctl of [false, false, undefined]) {
    const namespace = new PidNamespace("/proc", process.pid, known, ioctl);
    try {
      assert.equal(namespace.toInside(process.pid), process.pid);
      assert.equal(namespace.toHost(process.pid), process.pid);
      assert.equal(namespace.toInside(4_194_303), undefined);
      assert.equal(namespace.toHost(4_194_303), undefined);
    } finally {
      namespace.close();
    }
  }
});

test("acting as somebody, and being oneself again", { skip: root }, () => {
  const status = (field: string): string =>
    new RegExp(`^${field}:\\s*(.*)$`, "m")
      .exec(readFileSync("/proc/thread-self/status", "utf8"))?.[1]
      ?.replaceAll("\t", " ")
      .trim() ?? "";
  const fields = ["Uid", "Gid", "Groups", "CapEff", "CapPrm"];
  const before = fields.map(status);
  const acting = new Acting();
  const actor = {
    effectiveUid: 1001,
    effectiveGid: 1002,
    filesystemUid: 1003,
    filesystemGid: 1004,
    groups: [1005, 1006],
    capabilities: 0n,
  };
  acting.as(actor, () => {
    assert.equal(status("Uid"), "0 1001 0 1003");
    assert.equal(status("Gid"), "0 1002 0 1004");
    assert.equal(status("Groups"), "1005 1006");
    assert.equal(BigInt(`0x${status("CapEff")}`), 0n);
  });
  assert.deepEqual(fields.map(status), before);
  acting.as({ ...actor, effectiveUid: 0, filesystemUid: 0, capabilities: 1n }, () => {
    assert.equal(status("Uid"), "0 0 0 0");
    assert.equal(BigInt(`0x${status("CapEff")}`), 1n);
    assert.throws(() => writeFileSync("/proc/sys/kernel/printk_ratelimit/x", ""));
  });
  assert.throws(() =>
    acting.as(actor, () => {
      throw new Error("work that fails");
    }),
  );
  assert.deepEqual(fields.map(status), before);
});
