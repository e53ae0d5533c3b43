/** CPUs: one answer in every file, whatever bounds them. */
import assert from "node:assert/strict";
import { cpus } from "node:os";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { cpuinfoBlocks, cpuList, statRows } from "../support/parse.ts";

const SYS = "/sys/devices/system/cpu";
const hostCpus = cpus().length;

const READ = [
  "/proc/cpuinfo",
  "/proc/stat",
  ...["online", "present", "possible", "offline"].map((name) => `${SYS}/${name}`),
];

/** What all files of interest say, by one process: each costs time, much of it in emulation. */
function readAll(container: Container): Map<string, string> {
  const script = `for f; do cat "$f"; printf '\\0'; done; ls ${SYS}`;
  const texts = container.exec(["sh", "-ec", script, "sh", ...READ]).split("\0");
  return new Map([...READ, "directories"].map((name, index) => [name, texts[index] ?? ""]));
}

/** Every place that names the container's CPUs. */
function cpuNumbers(texts: ReadonlyMap<string, string>): Map<string, number[]> {
  const text = (name: string): string => texts.get(name) ?? "";
  const found = new Map<string, number[]>();
  const processors = cpuinfoBlocks(text("/proc/cpuinfo"));
  found.set(
    "/proc/cpuinfo",
    processors.map((block) => Number(block.get("processor"))),
  );
  const rows = [...statRows(text("/proc/stat")).keys()];
  found.set(
    "/proc/stat",
    rows.filter((name) => /^cpu\d/.test(name)).map((name) => Number(name.slice(3))),
  );
  for (const name of ["online", "present", "possible"]) {
    found.set(name, cpuList(text(`${SYS}/${name}`)));
  }
  found.set(
    "directories",
    text("directories")
      .split("\n")
      .filter((name) => /^cpu\d+$/.test(name))
      .map((name) => Number(name.slice(3)))
      .toSorted((a, b) => a - b),
  );
  return found;
}

function assertCpus(container: Container, count: number): void {
  const wanted = Array.from({ length: count }, (_, cpu) => cpu);
  const texts = readAll(container);
  for (const [where, numbers] of cpuNumbers(texts)) assert.deepEqual(numbers, wanted, where);
  assert.equal(texts.get(`${SYS}/offline`)?.trim(), "");
}

void describe("CPUs by cpuset", { skip: whyNoMounts() }, () => {
  let lab: Lab;
  before(async () => (lab = await Lab.open()));
  after(async () => await lab?.close());

  void test("all files name all CPUs without a cpuset", async () => {
    assertCpus(await lab.container(), hostCpus);
  });

  void test("a cpuset's CPUs are numbered from 0, whichever they are", async () => {
    const last = hostCpus - 1;
    assertCpus(await lab.container({ limits: { cpuset: String(last) } }), 1);
  });

  void test("a cpuset that shrinks and grows is followed at once", async () => {
    const container = await lab.container({ limits: { cpuset: `0-${hostCpus - 1}` } });
    container.cgroups.limit({ cpuset: "0" });
    assertCpus(container, 1);
    container.cgroups.limit({ cpuset: `0-${hostCpus - 1}` });
    assertCpus(container, hostCpus);
  });

  void test("a quota alone changes no count", async () => {
    assertCpus(await lab.container({ limits: { cpuQuotaUs: 50_000 } }), hostCpus);
  });

  void test("getconf counts the same CPUs", async () => {
    const container = await lab.container({ limits: { cpuset: "0" } });
    const all = container.exec(["getconf", "-a"]);
    assert.match(all, /^_NPROCESSORS_CONF\s+1$/m);
    assert.match(all, /^_NPROCESSORS_ONLN\s+1$/m);
  });
});

void describe("CPUs by quota", { skip: whyNoMounts() }, () => {
  let lab: Lab;
  before(async () => (lab = await Lab.open({ args: ["--enable-cfs"] })));
  after(async () => await lab?.close());

  void test("a quota of one CPU shows one, of half a CPU too", async () => {
    for (const cpuQuotaUs of [100_000, 50_000]) {
      assertCpus(await lab.container({ limits: { cpuQuotaUs } }), 1);
    }
  });

  void test("a quota is rounded up and never adds CPUs", async () => {
    assertCpus(await lab.container({ limits: { cpuQuotaUs: 110_000 } }), Math.min(2, hostCpus));
    assertCpus(await lab.container({ limits: { cpuQuotaUs: 6_400_000 } }), hostCpus);
  });

  void test("the tightest quota of all ancestors counts", async () => {
    const limits = { cpuQuotaUs: 100_000 };
    assertCpus(await lab.container({ depth: 4, limitLevel: 2, limits }), 1);
  });
});
