/** One job from its beginning to its end, in the calling thread. */
import { statfsSync } from "node:fs";
import { errno, errnoOf } from "../sys/errno.ts";
import { readFile } from "../sys/read.ts";
import { commitSteps, type CommitOptions, type NamespaceThread } from "./commit.ts";
import { parseMountinfo } from "../host/mountinfo.ts";
import { hostNamespaces } from "./find_mounts.ts";
import { planJob, type Host, type Plan, type PlannedStep } from "./plan.ts";
import { GoneError, RefusedError, Target } from "./target.ts";
import type { Did, Job, Outcome, Step } from "./types.ts";

export interface RunOptions extends CommitOptions {
  /**
   * Asked once, when all is prepared and before anything is changed. False: the job took too long
   * and nobody waits for it any more.
   */
  readonly mayCommit: () => boolean;
}

/** What a planned step would do, in the words of its result. */
const WOULD: Record<PlannedStep["does"], Did> = {
  attach: "attached",
  replace: "replaced",
  detach: "detached",
  already: "already",
  skip: "skipped",
};

/** Never throws: what goes wrong is the outcome. */
export function runJob(job: Job, thread: NamespaceThread, options: RunOptions): Outcome {
  const startedMs = performance.now();
  const outcome = (
    status: Outcome["status"],
    steps: readonly Step[],
    message?: string,
  ): Outcome => ({
    pid: job.pid,
    status,
    steps,
    message,
    milliseconds: performance.now() - startedMs,
  });
  let target: Target | undefined;
  let plan: Plan | undefined;
  try {
    target = Target.open(job.procRoot, job.pid);
    plan = planJob(job, target, readHost(job.procRoot));
    const steps = plan.steps;
    if (job.kind === "probe") return outcome("done", [probe(steps[0])]);
    if (job.dryRun) return outcome("done", steps.map(wouldDo));
    if (!options.mayCommit()) return outcome("timeout", [], "given up, nothing was changed");
    if (steps.every(({ does }) => does === "already" || does === "skip")) {
      return outcome("done", steps.map(wouldDo));
    }
    const done = thread.inside(target, () => commitSteps(steps, job.kind === "attach", options));
    return done.some(({ did }) => did === "failed")
      ? outcome("failed", done, done.find(({ did }) => did === "failed")?.why)
      : outcome("done", done);
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    if (thrown instanceof GoneError) return outcome("gone", [], message);
    if (thrown instanceof RefusedError) return outcome("refused", [], message);
    return outcome("failed", [], message);
  } finally {
    plan?.close();
    target?.close();
  }
}

function wouldDo(step: PlannedStep): Step {
  const did = WOULD[step.does];
  return { target: step.target, did, ...(step.why === undefined ? {} : { why: step.why }) };
}

/** Whether the filesystem behind a place answers. A statfs is always asked of it, never cached. */
function probe(step: PlannedStep | undefined): Step {
  if (!step || step.targetFd < 0) return { target: step?.target ?? "", did: "skipped" };
  try {
    statfsSync(`/proc/self/fd/${step.targetFd}`);
  } catch (thrown) {
    const code = errnoOf(thrown);
    if (code === errno.ENOTCONN || code === errno.ECONNABORTED) {
      return { target: step.target, did: "failed", why: "dead" };
    }
  }
  return { target: step.target, did: "already" };
}

/** The mount namespaces that are the host's, as far as they can be told, and this process's mounts. */
function readHost(procRoot: string): Host {
  const namespaces = hostNamespaces(procRoot);
  return { namespaces, mounts: parseMountinfo(readFile("/proc/thread-self/mountinfo")) };
}
