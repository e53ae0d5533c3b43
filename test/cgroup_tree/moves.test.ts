/**
 * A number that comes round again between the look and the write: what is moved by it from outside
 * goes back to where it came from. The write is the real one, with the number given away right before
 * it, as no test could by waiting.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { detectLayout } from "../../src/cgroup/layout.ts";
import { cgroupDirectory, cgroupPaths } from "../../src/cgroup/paths.ts";
import { Callers } from "../../src/cgroup_tree/callers.ts";
import { KnownNumbers } from "../../src/cgroup_tree/known_numbers.ts";
import { move } from "../../src/cgroup_tree/move.ts";
import { PidNamespace } from "../../src/cgroup_tree/pids.ts";
import { CgroupTree } from "../support/cgroup_tree.ts";
import { Container } from "../support/container.ts";
import { whyNoMounts } from "../support/lab.ts";
import { sleepSync } from "../support/wait.ts";
import { Probe, whyNoProbe } from "./probe.ts";
import { hierarchyNames } from "./trees.ts";

void describe("numbers that come round again", { skip: whyNoMounts() || whyNoProbe() }, () => {
  const procRoot = "/proc";
  const layout = detectLayout(readFileSync("/proc/self/mountinfo", "latin1"));
  let container: Container;
  let outside: CgroupTree;
  let probe: Probe;
  let successor: string;
  let twoThreads: string;
  const children: ChildProcess[] = [];
  const known = new KnownNumbers(procRoot);
  before(async () => {
    container = await Container.start();
    outside = new CgroupTree(`lxcfs-outside-${process.pid}`);
    probe = new Probe();
    successor = probe.compile("successor.c");
    twoThreads = probe.compile("two_threads.c");
  });
  after(() => {
    for (const child of children) child.kill("SIGKILL");
    container?.stop();
    outside?.remove();
    probe?.remove();
  });

  /** A foreign process or thread with this number, in the cgroups of `outside`. */
  const takeNumber = (kind: "process" | "thread", number: number): number => {
    const script = `${outside.joinScript()}\nexec '${successor}' ${kind} ${number}`;
    const child = spawn("sh", ["-c", script], { stdio: ["pipe", "ignore", "inherit"] });
    children.push(child);
    // This thread must not wait for events: a move is synchronous.
    for (let look = 0; look < 500; look++) {
      if (existsSync(`/proc/${child.pid}/task/${number}`)) return child.pid ?? 0;
      const ofChild = `/proc/${child.pid}/task/${child.pid}/children`;
      if (existsSync(ofChild) && readFileSync(ofChild, "utf8").includes(`${number} `))
        return number;
      sleepSync(10);
    }
    throw new Error(`Cannot make a ${kind} with the number ${number}`);
  };

  const isGone = (path: string): void => {
    for (let look = 0; existsSync(path) && look < 500; look++) sleepSync(10);
    assert.ok(!existsSync(path), `${path} is gone`);
  };

  for (const kind of ["process", "thread"] as const) {
    for (const name of hierarchyNames()) {
      // Threads of v2 can't leave their domain: none from outside is ever moved by cgroup.threads.
      if (kind === "thread" && name === "unified") continue;
      void test(`of a ${kind}, in ${name}`, async () => {
        const hierarchy = layout.hierarchies.find((each) =>
          name === "unified" ? each.version === 2 : each.controllers.includes(name),
        );
        assert.ok(hierarchy);
        const asker = container.spawn(["sleep", "100"]);
        const target = container.spawn([twoThreads]);
        children.push(asker, target);
        assert.ok(target.stdout && target.stdin);
        const lines = createInterface(target.stdout);
        const [line] = (await once(lines, "line")) as [string];
        const [process = 0, thread = 0] = line.split(" ").map(Number);
        const namespace = new PidNamespace(procRoot, container.initPid, known);
        const hostProcess = namespace.toHost(process) ?? 0;
        const number = kind === "process" ? hostProcess : (namespace.toHost(thread) ?? 0);
        const before = known.of(number)?.numbers.length ?? 0;
        const callers = new Callers({ procRoot, layout, nowMs: () => 0 });
        const caller = callers.of(await leafOf(asker));
        assert.ok(caller && !caller.isHost);
        const directory = cgroupDirectory(hierarchy, container.cgroups.path) ?? "";
        const group = join(directory, `moved-${kind}`);
        container.cgroups.makeBelow(container.cgroups.path, `moved-${kind}`);
        const file = kind === "process" ? "cgroup.procs" : "tasks";
        let victim = 0;
        let wasMoved = "";
        const putBack: string[] = [];
        move({
          procRoot,
          layout,
          hierarchy,
          caller,
          what: kind,
          text: String(kind === "process" ? process : thread),
          toHost: (pid) => namespace.toHost(pid),
          write(text) {
            assert.equal(text, String(number));
            if (kind === "process") globalThis.process.kill(hostProcess, "SIGKILL");
            else target.stdin?.write("x");
            isGone(`/proc/${hostProcess}/task/${number}`);
            victim = takeNumber(kind, number);
            writeFileSync(join(group, file), text);
            wasMoved = pathOf(victim, number);
          },
          putBack(hostPid, path, where) {
            putBack.push(where);
            const back = cgroupDirectory(hierarchy, path) ?? "";
            writeFileSync(join(back, where), String(hostPid));
          },
        });
        function pathOf(process: number, thread: number): string {
          const text = readFileSync(`/proc/${process}/task/${thread}/cgroup`, "latin1");
          return cgroupPaths(layout, text).get(hierarchy as NonNullable<typeof hierarchy>) ?? "";
        }
        namespace.close();
        // What was remembered of the number is not taken for its new owner's.
        assert.equal(before, 2);
        assert.equal(known.of(number)?.numbers.length, 1);
        assert.ok(wasMoved.endsWith(`moved-${kind}`), `it was moved first: ${wasMoved}`);
        assert.deepEqual(putBack, [file]);
        assert.equal(pathOf(victim, number), outside.path);
      });
    }
  }
});

/** The process that a chain of programs ended in: nsenter and sh stay its parents. */
async function leafOf(child: ChildProcess): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 300));
  let pid = child.pid ?? 0;
  for (;;) {
    const below = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")[0];
    if (below === undefined || below === "") return pid;
    pid = Number(below);
  }
}
