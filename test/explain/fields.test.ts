/** explain takes each file apart, and its fields are together what the container reads. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
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

  before(async () => {
    lab = await Lab.open();
    container = await lab.container({
      ...{ depth: DEPTH, limitLevel: 2 },
      limits: { memoryBytes: 96 * MIB, cpuQuotaUs: 50_000, cpuPeriodUs: 100_000 },
    });
    // Something for every file: a page written, a device read.
    container.exec([
      "sh",
      "-c",
      "dd if=/dev/zero of=/tmp/$$ bs=64k count=4 conv=fsync; rm /tmp/$$",
    ]);
  });
  after(async () => await lab?.close());

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
