/** The runner of the virtual machines, on machines that are none: their jobs run here. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { GuestFiles } from "./guest_files.ts";
import { type LaneOptions, type Outcome, runLanes } from "./lanes.ts";
import { type JobOptions, type Machine, MachineError } from "./machine.ts";
import { repository } from "./repository.ts";

const folder = mkdtempSync(join(tmpdir(), "lxcfs-lanes-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A test file with this text. */
function file(name: string, text: string): string {
  const path = join(folder, `${name}.test.mjs`);
  writeFileSync(path, `import { test } from "node:test";\n${text}`);
  return path;
}

/** What a lane needs of a machine. */
class Here {
  static booted = 0;
  stopped = false;

  constructor() {
    Here.booted++;
  }

  async job(command: readonly string[], options: JobOptions): Promise<number> {
    const [program = "", ...rest] = command;
    const env = { ...process.env, ...options.env, NODE_TEST_CONTEXT: undefined };
    const { stdout, stderr, status, error } = spawnSync(program, rest, {
      ...{ cwd: repository, env },
      ...(options.timeoutMs === undefined ? {} : { timeout: Math.ceil(options.timeoutMs) }),
    });
    options.stdout?.(stdout);
    options.stderr?.(stderr);
    return await Promise.resolve(status ?? (error === undefined ? 1 : 124));
  }

  cpuSeconds(): number {
    return 1;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.resolve();
  }
}

const said: string[] = [];

async function runHere(
  paths: readonly string[],
  options: Partial<LaneOptions> = {},
): Promise<Outcome[]> {
  Here.booted = 0;
  const files: GuestFiles = { layout: "v2", suite: "some", paths, timeoutMs: 60_000 };
  return await runLanes([files], {
    boot: async () => await Promise.resolve(new Here() as unknown as Machine),
    machines: 1,
    runsAgain: 2,
    deadlineMs: performance.now() + 600_000,
    graceMs: 600_000,
    print: (_, line) => said.push(line),
    ...options,
  });
}

test("counts the tests of all files", async () => {
  const one = file("one", 'test("a", () => {}); test("b", { skip: "why" }, () => {});');
  const two = file("two", 'test("c", () => {});');
  const [outcome] = await runHere([one, two]);
  assert.deepEqual(outcome?.counts, { passed: 2, failed: 0, skipped: 1, unsteady: [] });
  assert.equal(outcome.status, 0);
  assert.equal(Here.booted, 1);
  assert.ok(said.some((line) => line.includes("✔ a")));
});

test("a file that fails is run again, alone, in a fresh machine, and named", async () => {
  const flag = JSON.stringify(join(folder, "flag"));
  const steady = file("steady", 'test("a", () => {});');
  const flaky = file(
    "flaky",
    `import { existsSync, writeFileSync } from "node:fs";
    test("b", () => {
      if (existsSync(${flag})) return;
      writeFileSync(${flag}, "");
      throw new Error("first");
    });`,
  );
  const [outcome] = await runHere([steady, flaky]);
  assert.deepEqual(outcome?.counts, {
    passed: 2,
    failed: 0,
    skipped: 0,
    unsteady: [`v2: ${flaky}`],
  });
  assert.equal(Here.booted, 2);
});

test("what fails each time has failed, with the guest's exit status", async () => {
  const bad = file("bad", 'test("a", () => { throw new Error("bad"); }); test("b", () => {});');
  const [outcome] = await runHere([bad]);
  assert.deepEqual(outcome?.counts, { passed: 1, failed: 1, skipped: 0, unsteady: [] });
  assert.equal(outcome.status, 1);
  assert.equal(Here.booted, 3);
});

test("a file that dies takes those with it that it kept from running", async () => {
  const dies = file("dies", "process.exit(0);");
  const next = file("next", 'test("a", () => {});');
  const [outcome] = await runHere([dies, next], { runsAgain: 1 });
  assert.deepEqual(outcome?.counts, {
    passed: 1,
    failed: 1,
    skipped: 0,
    unsteady: [`v2: ${next}`],
  });
});

test("a machine that does not come up fails its files", async () => {
  const one = file("never", 'test("a", () => {});');
  const [outcome] = await runHere([one, one], {
    boot: async () => await Promise.reject(new MachineError("no machine")),
  });
  assert.equal(outcome?.counts.failed, 2);
});

test("what is not begun in time is skipped", async () => {
  const one = file("late", 'test("a", () => {});');
  const [outcome] = await runHere([one], { deadlineMs: 0 });
  assert.deepEqual(outcome?.counts, { passed: 0, failed: 0, skipped: 1, unsteady: [] });
  assert.equal(Here.booted, 0);
});

test("what is begun in time and cut off is skipped; what it had done counts", async () => {
  const done = file("done", 'test("a", () => {});');
  const endless = file(
    "endless",
    'test("b", () => new Promise((end) => setTimeout(end, 60_000)));',
  );
  const after = file("after", 'test("c", () => {});');
  const cut = { deadlineMs: performance.now() + 1000, graceMs: 2000 };
  const [outcome] = await runHere([done, endless, after], cut);
  assert.deepEqual(outcome?.counts, { passed: 1, failed: 0, skipped: 2, unsteady: [] });
  assert.equal(outcome.status, 0);
});

test("a failure that could not be run again to its end stays one", async () => {
  const flag = JSON.stringify(join(folder, "again"));
  const bad = file(
    "slower",
    `import { existsSync, writeFileSync } from "node:fs";
    test("a", () => {
      if (existsSync(${flag})) return new Promise((end) => setTimeout(end, 60_000));
      writeFileSync(${flag}, "");
      throw new Error("first");
    });`,
  );
  const cut = { deadlineMs: performance.now() + 2000, graceMs: 2000 };
  const [outcome] = await runHere([bad], cut);
  assert.equal(outcome?.counts.failed, 1);
  assert.equal(outcome.status, 1);
});
