/** explain takes each file apart, and its fields are together what the container reads. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { countV1, Disk, whyNoDisk, whyNoIo } from "../fidelity/disk.ts";
import type { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { ask, FILES } from "./ask.ts";

interface Field {
  readonly name: string;
  readonly value: string;
  readonly rule: string;
  readonly file?: string;
  readonly level?: number;
  readonly levels?: number;
}

const MIB = 1 << 20;
const DEPTH = 3;

/** Words of a file's text that no field is to have: heads of columns, and names of units. */
const PLAIN: Readonly<Record<string, RegExp>> = {
  "proc/swaps": /^(?:Filename|Type|Size|Used|Priority)$/,
  "proc/partitions": /^(?:major|minor|#blocks|name)$/,
  "proc/slabinfo": /./,
};

void describe("explain", { skip: whyNoMounts() }, () => {
  let lab: Lab;
  let container: Container;
  let directory: string | undefined;
  let disk: Disk | undefined;
  const noDisk = whyNoDisk() || whyNoIo();

  before(async () => {
    lab = await Lab.open();
    container = await lab.container({
      ...{ depth: DEPTH, limitLevel: 2 },
      limits: { memoryBytes: 96 * MIB, cpuQuotaUs: 50_000, cpuPeriodUs: 100_000 },
    });
    // For diskstats and partitions: a disk of its own, written to.
    if (noDisk !== false) return;
    directory = mkdtempSync(join(tmpdir(), "lxcfs-explain-"));
    disk = new Disk(directory, 8);
    countV1(container, disk);
    const write = ["dd", "if=/dev/zero", `of=${disk.device}`, "bs=64k", "count=4"];
    container.exec([...write, "oflag=direct"]);
  });
  after(async () => {
    disk?.detach();
    if (directory !== undefined) rmSync(directory, { recursive: true });
    await lab?.close();
  });

  const fieldsOf = (file: string): Field[] => {
    const args = ["explain", file, "--pid", String(container.initPid), "--json"];
    const { status, stdout, stderr } = ask(lab, ...args);
    assert.equal(status, 0, stderr);
    return (JSON.parse(stdout) as { fields: Field[] }).fields;
  };

  for (const file of FILES.filter((each) => existsSync(`/${each}`))) {
    void test(`${file}, field by field`, () => {
      const fields = fieldsOf(file);
      assert.ok(fields.length > 0);
      for (const { name, rule, file: source, level, levels } of fields) {
        assert.notEqual(rule.trim(), "", name);
        assert.doesNotMatch(rule, /undefined|NaN|^,/, name);
        if (source !== undefined) assert.ok(existsSync(source), `${name}: ${source}`);
        if (level !== undefined) assert.ok(level >= 1 && level <= (levels ?? level), name);
      }
      // Numbers move between two readings; words and their number do not.
      const told = new Set(
        fields.flatMap(({ name, value }) => `${name} ${value}`.split(/[\s:=]+/)),
      );
      const text = container.read(`/${file}`);
      const words = text.split(/[\s:=]+/).filter((word) => /[A-Za-z]/.test(word));
      const missing = words.filter((word) => !told.has(word) && PLAIN[file]?.test(word) !== true);
      const own = missing.filter((word) => word !== "Node" && !/^(?:loop|sd|vd|dm-)/.test(word));
      assert.deepEqual(own, []);
    });
  }

  void test("amounts of memory are said to be of the entry that the kernel has for them", () => {
    let seen = 0;
    for (const { name, value, rule, file } of fieldsOf("meminfo")) {
      const [, entry] = /^(\w+) in memory\.stat of [^,]+$/.exec(rule) ?? [];
      if (entry === undefined || file === undefined) continue;
      const bytes = new RegExp(`^${entry} (\\d+)$`, "m").exec(readFileSync(file, "utf8"))?.[1];
      assert.ok(bytes !== undefined, `${name}: ${file} has no ${entry}`);
      const differsKib = Math.abs(Number(bytes) / 1024 - Number.parseInt(value, 10));
      assert.ok(differsKib <= 1024, `${name} ${value}: ${entry} is ${bytes}`);
      seen++;
    }
    assert.ok(seen >= 8, `${seen} fields`);
  });

  void test("a quota above the container is told with its level", () => {
    const quota = fieldsOf("cpuinfo").find(({ name }) => name === "quota");
    assert.equal(quota?.value, "0.50");
    assert.equal(quota?.level, 2);
    assert.match(
      quota?.rule ?? "",
      /^50000 us in 100000 us, cpu\.(?:max|cfs_quota_us) of \/.*, the tightest of \d+ levels/,
    );
  });

  void test("each column of a disk is told with the file that counts it", { skip: noDisk }, () => {
    const name = disk?.device.replace("/dev/", "") ?? "";
    const fields = new Map(fieldsOf("diskstats").map((field) => [field.name, field]));
    const written = fields.get(`${name} sectors written`);
    assert.equal(written?.value, String((4 * 65_536) / 512));
    assert.match(
      written?.rule ?? "",
      /^(?:wbytes in io\.stat|blkio\.throttle\.\w+) of \/.* \/ 512/,
    );
    const counters = readFileSync("/proc/diskstats", "utf8").split("\n")[0]?.trim().split(/\s+/);
    assert.equal(
      [...fields.keys()].filter((each) => each.startsWith(`${name} `)).length,
      (counters?.length ?? 0) - 3,
    );
    const partition = fieldsOf("partitions").find((field) => field.name === `${name} #blocks`);
    assert.equal(partition?.value, String(8 * 1024));
  });

  void test("for people each file has its level", () => {
    const { stdout } = ask(lab, "explain", "meminfo", "--pid", String(container.initPid));
    assert.match(
      stdout,
      /^MemTotal 98304 kB: memory\.\w+ of \/.*, the tightest of (\d+) levels\n {4}\/sys\/fs\/cgroup\/.* \(level 2 of \1: 1 above its own\)$/m,
    );
    assert.match(
      stdout,
      /^AnonPages \d+ kB: \w+ in memory\.stat of \/.*\n.*\(level 1: its own cgroup\)$/m,
    );
  });
});
