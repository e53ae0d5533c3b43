import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type LiveRow, screenLines, withUse } from "./screen.ts";
import { printable, sizeText } from "./survey.ts";

const row = (name: string, memoryBytes: number, cpuUse = 0): LiveRow => ({
  runtime: "docker",
  name,
  id: name,
  pid: 1,
  container: "1",
  memoryLimitBytes: 100 << 20,
  memoryBytes,
  cpuQuota: 1,
  cpus: 2,
  cpuUsageUs: 0,
  attached: { files: 0, how: "kernel", devices: [], container: undefined },
  cpuUse,
  readsPerSecond: 1,
});
const SIZE = {
  columns: 80,
  rows: 24,
  color: false,
  hostMemoryBytes: 8 * 2 ** 30,
  hostCpus: 4,
  title: "lxcfs top",
};

void describe("the screen of top", () => {
  void it("shows the fullest first, by CPU or memory", () => {
    const rows = [row("little", 10 << 20), row("memory", 50 << 20), row("busy", 0, 0.8)];
    const lines = screenLines(rows, SIZE);
    assert.match(lines[2] ?? "", /^docker:busy .*\[\|{10} {2}\] 0\.80\/1 /);
    assert.match(lines[3] ?? "", /^docker:memory .*\[\|{6} {6}\] 50M\/100M /);
    assert.match(lines[4] ?? "", /^docker:little /);
  });

  void it("stays within 80x24, whatever the names and however many there are", () => {
    const rows = Array.from({ length: 60 }, (_, i) => row("n".repeat(200) + i, i << 20, i / 10));
    const lines = screenLines(rows, SIZE);
    assert.ok(lines.length <= 24);
    for (const line of lines) assert.ok(line.length <= 80, line);
    assert.match(lines.at(-1) ?? "", /and 39 more/);
  });

  void it("leaves out what a narrow terminal has no room for", () => {
    for (let columns = 8; columns < 120; columns++) {
      const lines = screenLines([row("web", 50 << 20, 0.5)], { ...SIZE, columns });
      for (const line of lines) assert.ok(line.length <= columns, `${columns}: ${line}`);
      assert.match(lines[2] ?? "", /^docker:/);
    }
    const [, head] = screenLines([], { ...SIZE, columns: 60 });
    assert.match(head ?? "", /^NAME +CPU +MEM$/);
  });

  void it("has colours only when it may", () => {
    assert.doesNotMatch(screenLines([row("a", 99 << 20)], SIZE).join("\n"), /\p{Cc}\[/u);
    const red = `${String.fromCodePoint(27)}[31m`;
    assert.ok(
      screenLines([row("a", 99 << 20)], { ...SIZE, color: true })
        .join("")
        .includes(red),
    );
  });

  void it("counts CPU time between two looks, and none before the first", () => {
    const now = { ...row("a", 0), cpuUsageUs: 3_000_000 };
    const reads = (): number => 0;
    assert.equal(withUse([now], new Map(), 2, reads)[0]?.cpuUse, 0);
    const before = new Map([["docker a 1", 2_000_000]]);
    assert.equal(withUse([now], before, 2, reads)[0]?.cpuUse, 0.5);
  });

  void it("lets no name move the cursor", () => {
    assert.equal(printable(`a${String.fromCodePoint(27)}[2Jb\n`), "a?[2Jb?");
  });

  void it("writes amounts in few columns", () => {
    assert.deepEqual([null, 0, 999, 1024, 1536, 100 << 20, 1 << 30].map(sizeText), [
      "-",
      "0",
      "999",
      "1K",
      "1.5K",
      "100M",
      "1G",
    ]);
  });
});
