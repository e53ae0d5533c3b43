/** docs/fidelity.md names every field that any file shows, on every captured kernel and on this one. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CapturedMachine } from "../../src/machine/testing.ts";
import { VIEWS } from "../../src/views/index.ts";
import { fixtureNames } from "../../tools/fixture.ts";
import { projectRoot } from "../support/project.ts";

/** Section -> patterns of its fields: what stands between backticks in the tables' first column. */
function documented(): Map<string, RegExp[]> {
  const page = readFileSync(join(projectRoot, "docs/fidelity.md"), "utf8");
  const sections = new Map<string, RegExp[]>();
  for (const section of page.split(/^## /m).slice(1)) {
    const patterns: RegExp[] = [];
    for (const [, cell = ""] of section.matchAll(/^\| ([^|]+) \|/gm)) {
      for (const [, name = ""] of cell.matchAll(/`([^`]+)`/g)) patterns.push(toPattern(name));
    }
    sections.set(section.split("\n")[0]?.trim() ?? "", patterns);
  }
  return sections;
}

/** `*` stands for anything, the N of cpuN and nodeN for a number. */
function toPattern(name: string): RegExp {
  const escaped = name.replaceAll(/[.()#]/g, String.raw`\$&`).replaceAll("*", ".*");
  return new RegExp(`^${escaped.replace(/\b(cpu|node)N/, String.raw`$1\d+`)}$`);
}

/** The fields a text shows, by the file's path. */
const FIELDS: Readonly<Record<string, (text: string) => string[]>> = {
  "proc/meminfo": firstWords,
  "proc/vmstat": firstWords,
  "proc/stat": (text) => firstWords(text).map((word) => word.replace(/^cpu\d+$/, "cpuN")),
  "proc/cpuinfo": (text) => text.split("\n").filter(Boolean).map((line) => line.split(":")[0]?.trim() ?? ""), // prettier-ignore
  "proc/swaps": (text) => (text.split("\n")[0] ?? "").split(/\s+/).filter(Boolean),
  "proc/partitions": (text) => (text.split("\n")[0] ?? "").split(/\s+/).filter(Boolean),
  "proc/pressure/cpu": firstWords,
  "proc/pressure/memory": firstWords,
  "proc/pressure/io": firstWords,
};

function firstWords(text: string): string[] {
  return text.split("\n").filter(Boolean).map((line) => line.split(/[:\s]/)[0] ?? ""); // prettier-ignore
}

function sectionOf(path: string): string {
  if (path.startsWith("proc/pressure/")) return "/proc/pressure";
  if (path.startsWith("sys/")) return `/${path.slice(0, path.lastIndexOf("/"))}`;
  return `/${path}`;
}

const sections = documented();

/** What is wrong with the page, for texts of all files. */
function missing(textOf: (path: string) => string | undefined): string[] {
  const found: string[] = [];
  for (const { path } of VIEWS) {
    const patterns = sections.get(sectionOf(path));
    if (patterns === undefined) {
      found.push(`${path}: no section`);
      continue;
    }
    const name = path.slice(path.lastIndexOf("/") + 1);
    const fields = path.startsWith("sys/") ? [name] : (FIELDS[path]?.(textOf(path) ?? "") ?? []);
    for (const field of fields) {
      const known = patterns.some((pattern) => pattern.test(field) || field === "cpuN");
      if (!known) found.push(`${path}: ${field}`);
    }
  }
  return found;
}

for (const name of fixtureNames()) {
  void test(`${name}: every field is documented`, () => {
    const captured = new CapturedMachine(name);
    try {
      const textOf = (path: string): string | undefined =>
        VIEWS.find((view) => view.path === path)?.render(captured.machine);
      assert.deepEqual(missing(textOf), []);
    } finally {
      captured.remove();
    }
  });
}

void test("every field of this kernel is documented", () => {
  const textOf = (path: string): string | undefined => {
    try {
      return readFileSync(`/${path}`, "latin1");
    } catch {
      return undefined;
    }
  };
  assert.deepEqual(missing(textOf), []);
});

void test("a field that is not in the page is found", () => {
  const found = missing((path) => (path === "proc/meminfo" ? "MemWishes:   1 kB\n" : ""));
  assert.deepEqual(found, ["proc/meminfo: MemWishes"]);
});

void test("files of fixed columns have their columns in the page", () => {
  for (const [section, names] of [
    ["/proc/uptime", ["uptime", "idle"]],
    ["/proc/loadavg", ["load1", "load5", "load15", "running", "threads", "lastpid"]],
  ] as const) {
    for (const name of names) {
      assert.ok(
        sections.get(section)?.some((pattern) => pattern.test(name)),
        `${section} ${name}`,
      );
    }
  }
});
