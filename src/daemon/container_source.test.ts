/** What stat says of files: no reader may be misled by it, whoever believes in it. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { Container } from "../caller/container.ts";
import { CapturedMachine } from "../machine/testing.ts";
import { cpuinfo } from "../views/proc/cpuinfo.ts";
import { meminfo } from "../views/proc/meminfo.ts";
import { Newest, NEWEST_BYTES } from "../views/newest.ts";
import { Renderer } from "../views/renderer.ts";
import { ContainerSource } from "./container_source.ts";

const FIXTURE = "debian12-6.1.0-50-amd64-64cpus-v2";
/** Threads that ask. */
const [OF_HOST, OF_CONTAINER] = [1, 2];

void describe("sizes that stat tells", () => {
  const captured = new CapturedMachine(FIXTURE, { cpuPolicy: "quota" });
  after(() => captured.remove());

  const { host, machine, container } = captured;
  const byThread = (pid: number): Container | undefined =>
    pid === OF_CONTAINER ? container : undefined;
  let looks = 0;
  const registry = {
    get: () => (looks++, container),
    known: () => [container].values(),
  };
  const sourceOf = (freshnessMs: number): ContainerSource =>
    new ContainerSource({
      renderer: new Renderer({
        ...{ host, machineOf: () => machine, nowMs: () => captured.clock.monotonicMs() },
        ...{ newest: new Newest(new ArrayBuffer(NEWEST_BYTES), 0), freshnessMs },
        onError: () => {},
      }),
      ...{ registry, host },
      ...{ resolver: { resolve: byThread }, machineOf: () => machine },
      ...{ hostView: () => false, cgroupTree: false },
      ...{ late: () => false, lastText: () => undefined },
    });
  const source = sourceOf(0);
  const textLength = (local: number, pid: number): number =>
    source.text(source.reader(0, local, pid), local)?.length ?? 0;

  void test("a text that was made just now is given again without a look at the cgroup", () => {
    const sharing = sourceOf(10);
    const reader = sharing.reader(0, meminfo.local, OF_CONTAINER);
    const first = sharing.text(reader, meminfo.local)?.toString("latin1");
    looks = 0;
    assert.equal(sharing.text(reader, meminfo.local)?.toString("latin1"), first);
    assert.equal(looks, 0);
    captured.clock.seconds += 0.01;
    sharing.text(reader, meminfo.local);
    assert.equal(looks, 1);
  });

  void test("of a text that is short on this host: a page, to be remembered for long", () => {
    const found = source.stat(0, meminfo.local, OF_CONTAINER);
    assert.deepEqual([found?.size, found?.attributesSeconds], [4096, undefined]);
    assert.ok((found?.validSeconds ?? 0) > 1000);
  });

  void test("of one that can be long: whole pages that hold what the caller would read", () => {
    assert.ok(textLength(cpuinfo.local, OF_HOST) > 40_000);
    for (const pid of [OF_HOST, OF_CONTAINER]) {
      const length = textLength(cpuinfo.local, pid);
      const found = source.stat(0, cpuinfo.local, pid);
      const size = found?.size ?? 0;
      assert.ok(size >= length && size - length <= 4096 + 64, `${size} for ${length} bytes`);
      assert.equal(size % 4096, 0);
      // Another caller's is another.
      assert.equal(found?.attributesSeconds, 0);
    }
    assert.ok(textLength(cpuinfo.local, OF_CONTAINER) < 4096);
  });
});
