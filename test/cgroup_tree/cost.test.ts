/**
 * What listing and reading cost the server, in system calls: the same whether a container has two
 * siblings or hundreds, and not stalled by somebody else's long list.
 */
import assert from "node:assert/strict";
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { type Lab, whyNoMounts } from "../support/lab.ts";
import { guardWith } from "../support/guard.ts";
import { installed } from "../support/run.ts";
import { countCalls } from "../support/strace.ts";
import { hierarchyNames, isEmulated, openLab, type Tree, treeOf } from "./trees.ts";

const SIBLINGS = 400;
const ROUNDS = isEmulated ? 3 : 20;
/** Calls that come with time, not with requests: clocks, sleeping, the watchdog's looks. */
const OF_TIME = new Set([
  "futex",
  "epoll_wait",
  "epoll_pwait",
  "ppoll",
  "poll",
  "madvise",
  "mprotect",
]);
/** Calls one request may take, at a depth of one. How many a round makes depends on the files there are. */
const MAX_A_REQUEST = 40;

interface Cost {
  readonly round: number;
  readonly request: number;
}

const whyNot = whyNoMounts() || (!installed("strace") && "needs strace, see tools/setup-debian.sh");

void describe("the cost of the cgroup tree", { skip: whyNot }, () => {
  let lab: Lab;
  let mine: Container;
  before(async () => {
    lab = await openLab();
    mine = await lab.container();
  });
  after(async () => {
    await lab?.close();
  });

  const trees = (): Tree[] =>
    hierarchyNames().map((name) => treeOf(lab.server.mountpoint, name, mine));

  for (const name of hierarchyNames()) {
    void test(`listing and reading take as many calls with ${SIBLINGS} siblings as without: ${name}`, async (t) => {
      const tree = trees().find((each) => each.name === name) as Tree;
      const script = `
for round in $(seq ${ROUNDS}); do
  echo '${tree.top}'/* > /dev/null
  [ -d '${tree.own}' ] && echo '${tree.own}'/* > /dev/null
  read line < '${tree.own}/cgroup.procs'
done`;
      const read = (): unknown => mine.exec(["sh", "-c", script]);
      read();
      const count = async (): Promise<Cost> => {
        const calls = await countCalls(lab.server.pids(), read);
        let sum = 0;
        for (const [call, times] of calls) if (!OF_TIME.has(call)) sum += times;
        // Each answer is one write, and little else is.
        return { round: sum / ROUNDS, request: sum / (calls.get("write") ?? 0) };
      };
      const alone = await count();
      const siblings = Array.from({ length: SIBLINGS }, (_, each) =>
        join(tree.realTop, `lxcfs-sibling-${process.pid}-${each}`),
      );
      const undo = guardWith(`rmdir ${join(tree.realTop, `lxcfs-sibling-${process.pid}-`)}*`);
      let among: Cost;
      try {
        for (const each of siblings) mkdirSync(each);
        among = await count();
      } finally {
        for (const each of siblings) rmdirSync(each);
        undo.run();
      }
      const said = `${alone.request.toFixed(1)} calls a request, ${alone.round.toFixed(1)} a round`;
      t.diagnostic(`${said} alone, ${among.round.toFixed(1)} among siblings`);
      // Some calls are the watchdog's and the sampler's, by time; in emulation, where a round takes
      // many seconds, most are.
      if (!isEmulated) assert.ok(alone.request < MAX_A_REQUEST, said);
      assert.ok(among.round < alone.round * 1.1 + 10, `${said}, ${among.round} with siblings`);
    });
  }
});
