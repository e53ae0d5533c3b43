/** CPUs: one answer in every file, whatever bounds them. */
import assert from "node:assert/strict";
import { cpus } from "node:os";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { cpuinfoBlocks, cpuList, statRows } from "../support/parse.ts";

const SYS = "/sys/devices/system/cpu";
const hostCpus = cpus().length;

/** Every place that names the container's CPUs. */
function cpuNumbers(container: Container): Map<string, number[]> {
  const found = new Map<string, number[]>();
  const processors = cpuinfoBlocks(container.read("/proc/cpuinfo"));
  found.set(
    "/proc/cpuinfo",
    processors.map((block) => Number(block.get("processor"))),
  );
  const rows = [...statRows(container.read("/proc/stat")).keys()];
  found.set(
    "/proc/stat",
    rows.filter((name) => /^cpu\d/.test(name)).map((name) => Number(name.slice(3))),
  );
  for (const name of ["online", "present", "possible"]) {
    found.set(name, cpuList(container.read(`${SYS}/${name}`)));
  }
  const directories = container.exec(["ls", SYS]).split("\n");
  found.set(
    "directories",
    directories
      .filter((name) => /^cpu\d+$/.test(name))
      .map((name) => Number(name.slice(3)))
      .toSorted((a, b) => a - b),
  );
  return found;
}

function assertCpus(container: Container, count: number): void {
  const wanted = Array.from({ length: count }, (_, cpu) => cpu);
  for (const [where, numbers] of cpuNumbers(container)) assert.deepEqual(numbers, wanted, where);
  assert.equal(container.read(`${SYS}/offline`).trim(), "");
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
