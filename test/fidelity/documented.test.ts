/**
 * docs/fidelity.md names every field that any file shows, on every captured kernel and on this one;
 * and the check is one that fails: each file is also looked at with a field more, and each field
 * with its row taken out of the page.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { rendererOf } from "../../src/views/testing.ts";
import { childrenOf, itemOf, ROOT, type Presence } from "../../src/views/tree.ts";
import { CapturedMachine } from "../../src/machine/testing.ts";
import { fixtureNames } from "../../tools/fixture.ts";
import { projectRoot } from "../support/project.ts";
import { fieldsOf, servedFiles, type ServedField } from "./served_fields.ts";

const PRESENCE: Presence = { cpuCount: 2, nodes: [0] };
/** A container that has used no disk has no lines there; which the fixtures' have, on most kernels. */
const MAY_BE_EMPTY = new Set(["proc/diskstats", "proc/partitions", "proc/slabinfo"]);

/** A row of a table: the patterns of its fields, and what kind they are. */
interface Row {
  readonly section: string;
  readonly patterns: readonly RegExp[];
  readonly kind: string;
}

function rowsOf(page: string): Row[] {
  const rows: Row[] = [];
  for (const section of page.split(/^## /m).slice(1)) {
    const name = section.split("\n")[0]?.trim() ?? "";
    for (const line of section.split("\n")) {
      const cells = line.split("|").map((cell) => cell.trim());
      // Other tables than those of fields have other columns.
      if (cells.length !== 7 || cells[1] === "Field" || /^-+$/.test(cells[1] ?? "")) continue;
      const fields = [...(cells[1] ?? "").matchAll(/`([^`]+)`/g)];
      const patterns = fields.map(([, field = ""]) => toPattern(field));
      rows.push({ section: name, patterns, kind: cells[5] ?? "" });
    }
  }
  return rows;
}

/** `*` stands for anything, the N of cpuN and nodeN for a number. */
function toPattern(name: string): RegExp {
  const escaped = name.replaceAll(/[.()#]/g, String.raw`\$&`).replaceAll("*", ".*");
  return new RegExp(`^${escaped.replace(/\b(cpu|node)N\b/, String.raw`$1(?:\d+|N)`)}$`);
}

function isIn(row: Row, { section, field }: ServedField): boolean {
  return row.section === section && row.patterns.some((pattern) => pattern.test(field));
}

/** Fields of the files' texts that no row has. */
function missing(rows: readonly Row[], texts: ReadonlyMap<string, string>): string[] {
  const found = new Set<string>();
  for (const [path, text] of texts) {
    for (const served of fieldsOf(path, text)) {
      if (!rows.some((row) => isIn(row, served))) found.add(`${path}: ${served.field}`);
    }
  }
  return [...found];
}

const page = rowsOf(readFileSync(join(projectRoot, "docs/fidelity.md"), "utf8"));

/** Texts of all files that this captured machine's container sees. */
function captured(name: string): Map<string, string> {
  const machine = new CapturedMachine(name, { cpuPolicy: "none" });
  const renderer = rendererOf(machine, (error) => assert.fail(String(error)));
  try {
    const texts = new Map<string, string>();
    const pending = [ROOT];
    for (let local = pending.pop(); local !== undefined; local = pending.pop()) {
      for (const [, child] of childrenOf(local, PRESENCE)) {
        const item = itemOf(child);
        if (item?.kind === "directory") pending.push(child);
        if (item?.kind !== "file" || !/^(?:proc|sys)\//.test(item.path)) continue;
        const text = renderer.text(machine.container, child);
        if (text !== undefined) texts.set(item.path, text.toString("latin1"));
      }
    }
    return texts;
  } finally {
    machine.remove();
  }
}

/** What this kernel shows: the host's own files. */
function live(): Map<string, string> {
  const texts = new Map<string, string>();
  for (const path of servedFiles(PRESENCE)) {
    try {
      texts.set(path, readFileSync(`/${path}`, "latin1"));
    } catch {
      // This host has it not.
    }
  }
  // The host's table of slabs has rows; what is served has none.
  texts.delete("proc/slabinfo");
  return texts;
}

for (const name of fixtureNames()) {
  void test(`${name}: every field is documented`, () => {
    const texts = captured(name);
    assert.deepEqual(missing(page, texts), []);
    for (const [path, text] of texts) {
      const fields = new Set(fieldsOf(path, text).map(({ field }) => field));
      if (!MAY_BE_EMPTY.has(path)) assert.ok(fields.size > 0, `${path} shows no field`);
    }
  });

  void test(`${name}: without its row, a field is missed`, () => {
    const texts = captured(name);
    const seen = new Set<string>();
    for (const [path, text] of texts) {
      for (const served of fieldsOf(path, text)) {
        const key = `${served.section} ${served.field}`;
        if (seen.has(key)) continue;
        seen.add(key);
        const without = page.filter((row) => !isIn(row, served));
        const found = missing(without, new Map([[path, text]]));
        assert.ok(found.includes(`${path}: ${served.field}`), `${path}: ${served.field}`);
      }
    }
    assert.ok(seen.size > 250, `${seen.size} fields`);
  });
}

void test("every field of this kernel is documented", () => {
  assert.deepEqual(missing(page, live()), []);
});

void test("a file of the tree that no row has is found, whatever this host has", () => {
  const everything = new Map(servedFiles(PRESENCE).map((path) => [path, ""]));
  assert.deepEqual(missing(page, everything), []);
  const without = page.filter(({ section }) => !section.startsWith("/sys/"));
  const found = missing(without, everything);
  const inSystem = servedFiles(PRESENCE).filter((path) => path.startsWith("sys/"));
  assert.equal(found.length, inSystem.length);
});

void test("a field more than there is, in any file, is found", () => {
  const more: Readonly<Record<string, (text: string) => string>> = {
    "proc/meminfo": (text) => `${text}MemWishes:   1 kB\n`,
    "proc/vmstat": (text) => `${text}nr_wishes 1\n`,
    "proc/stat": (text) => text.replace(/^(cpu .*)$/m, "$1 0"),
    "proc/uptime": (text) => text.replace("\n", " 0\n"),
    "proc/loadavg": (text) => text.replace("\n", " 0\n"),
    "proc/swaps": (text) => text.replace("\n", "\tWishes\n"),
    "proc/partitions": (text) => text.replace("\n", " wishes\n"),
    "proc/diskstats": (text) => text.replaceAll("\n", " 1 2 3\n"),
    "proc/slabinfo": (text) => `${text}kmalloc-8k 1 2 3\n`,
    "proc/pressure/cpu": (text) => text.replace("\n", " avg900=0.00\n"),
    "proc/pressure/memory": (text) => `${text}most avg10=0.00\n`,
    "proc/pressure/io": (text) => `${text}most avg10=0.00\n`,
    "sys/devices/system/node/node0/meminfo": (text) => `${text}Node 0 MemWishes: 1 kB\n`,
    "sys/devices/system/node/node0/vmstat": (text) => `${text}nr_wishes 1\n`,
    "sys/devices/system/node/node0/numastat": (text) => `${text}numa_wishes 1\n`,
  };
  const texts = captured(fixtureNames().find((name) => name.endsWith("-v2")) ?? "");
  for (const [path, change] of Object.entries(more)) {
    const text = texts.get(path);
    assert.ok(text !== undefined, path);
    assert.deepEqual(missing(page, new Map([[path, text]])), []);
    assert.equal(missing(page, new Map([[path, change(text)]])).length > 0, true, path);
  }
  const inside = servedFiles(PRESENCE).filter((path) => path.startsWith("proc/"));
  // cpuinfo shows the host's lines, whatever they are: its row says so with a star.
  assert.deepEqual(
    inside.filter((path) => more[path] === undefined),
    ["proc/cpuinfo"],
  );
});

void test("every row says which kind its fields are", () => {
  for (const { section, patterns, kind } of page) {
    const kinds = /^(?:(?:v1 |v2 |else |)(?:exact|estimated|host's|zero)(?: from then on)?(?:[;,] |$)|estimated before|as there)/; // prettier-ignore
    assert.match(kind, kinds, `${section} ${String(patterns)}`);
    assert.ok(patterns.length > 0, `a row of ${section} names no field`);
  }
});
