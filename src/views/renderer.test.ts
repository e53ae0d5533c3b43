/** Texts when things go wrong: the last good one, the host's, never none. */
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { after, describe, test } from "node:test";
import { errno, SystemError } from "../sys/errno.ts";
import { CapturedMachine } from "../machine/testing.ts";
import { Newest, NEWEST_BYTES } from "./newest.ts";
import { cpuinfo, cpuinfo32 } from "./proc/cpuinfo.ts";
import { Renderer } from "./renderer.ts";

const MEMINFO = 32;
const UPTIME = 34;

void describe("renderer", () => {
  const captured = new CapturedMachine("debian12-6.1.0-50-amd64-v2");
  after(() => captured.remove());
  const errors: string[] = [];
  const rendererOf = (freshnessMs: number, beforeEach = (): void => {}): Renderer =>
    new Renderer({
      host: captured.host,
      machineOf: () => {
        beforeEach();
        return captured.machine;
      },
      nowMs: () => captured.clock.monotonicMs(),
      newest: new Newest(new ArrayBuffer(NEWEST_BYTES), 0),
      freshnessMs,
      onError: (_error, path) => errors.push(path),
    });
  const text = (renderer: Renderer, local: number): string | undefined =>
    renderer.text(captured.container, local)?.toString("latin1");

  void test("a text is given again while it is fresh, and made anew then", () => {
    const renderer = rendererOf(100);
    const first = text(renderer, UPTIME);
    captured.clock.seconds += 0.05;
    assert.equal(text(renderer, UPTIME), first);
    captured.clock.seconds += 0.06;
    assert.notEqual(text(renderer, UPTIME), first);
  });

  void test("texts of a container that has ended are let go of a minute later", () => {
    const renderer = rendererOf(10);
    const { key } = captured.container;
    text(renderer, UPTIME);
    renderer.text(undefined, UPTIME);
    captured.clock.seconds += 59;
    text(renderer, MEMINFO);
    captured.clock.seconds += 2;
    renderer.forgetEnded(10, () => false);
    assert.ok(renderer.last(key, UPTIME), "one of its files was read just now");
    captured.clock.seconds += 59;
    renderer.forgetEnded(10, () => true);
    assert.ok(renderer.last(key, UPTIME), "it lives");
    renderer.forgetEnded(10, () => false);
    assert.equal(renderer.last(key, UPTIME), undefined);
    assert.equal(renderer.size, 1, "the host's stay");
  });

  void test("without a freshness each read is made anew", () => {
    const renderer = rendererOf(0);
    const first = text(renderer, UPTIME);
    captured.clock.seconds += 0.02;
    assert.notEqual(text(renderer, UPTIME), first);
  });

  void test("a caller in no container gets the host's text", () => {
    const host = rendererOf(0).text(undefined, MEMINFO)?.toString("latin1");
    assert.equal(host, captured.host.procText("meminfo"));
    assert.notEqual(text(rendererOf(0), MEMINFO), host);
  });

  void test("for 32-bit processes cpuinfo is read with their personality, which does not stay", () => {
    const persona = (): string => readFileSync("/proc/thread-self/personality", "latin1").trim();
    const before = persona();
    let during = "";
    const spying = Object.create(captured.host) as typeof captured.host;
    Object.defineProperty(spying, "procRoot", {
      get: () => {
        during = persona();
        return captured.fixture.proc;
      },
    });
    const shown = cpuinfo32.renderHost?.(spying);
    assert.equal(during, "00000008");
    assert.equal(persona(), before);
    assert.equal(shown, captured.host.procText("cpuinfo"));
    // x86 shows both alike.
    assert.equal(cpuinfo32.render(captured.machine), cpuinfo.render(captured.machine));
  });

  void test("numbers that mean nothing have no text", () => {
    assert.equal(rendererOf(0).text(undefined, 31), undefined);
  });

  void test("a text that cannot be made for want of descriptors is not replaced by the host's", () => {
    let isExhausted = false;
    const renderer = rendererOf(0, () => {
      if (isExhausted) throw new SystemError("open memory.max", errno.EMFILE);
    });
    const good = text(renderer, MEMINFO);
    isExhausted = true;
    assert.equal(text(renderer, MEMINFO), good, "the last one");
    assert.throws(() => text(renderer, UPTIME), { code: "EMFILE" });
    isExhausted = false;
    assert.match(text(renderer, UPTIME) ?? "", /^\d/);
  });

  void test("a host's file that is malformed, then gone: reported, and the last good text again", () => {
    const renderer = rendererOf(0);
    const good = text(renderer, MEMINFO);
    writeFileSync(`${captured.fixture.proc}/meminfo`, "junk\n");
    errors.length = 0;
    assert.equal(text(renderer, MEMINFO), good);
    assert.deepEqual(errors, ["proc/meminfo"]);
    assert.equal(text(rendererOf(0), MEMINFO), "junk\n", "the host's, for want of a better one");
    rmSync(`${captured.fixture.proc}/meminfo`);
    captured.host.close();
    assert.equal(text(renderer, MEMINFO), good);
    assert.ok(good?.startsWith("MemTotal:"));
  });
});
