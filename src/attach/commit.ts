/**
 * Carries a plan out, in the calling thread: enters the namespace, moves the prepared mounts into
 * place, comes back. One thread at a time may be in another namespace without the rest of the
 * process noticing, once it has left the others' CLONE_FS state.
 */
import { closeSync } from "node:fs";
import { errno, errnoOf } from "../sys/errno.ts";
import {
  AT_EMPTY_PATH,
  CLONE,
  fchdir,
  MNT,
  mount,
  MOVE_MOUNT_BENEATH,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  moveMount,
  MS,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  openTree,
  setns,
  umount,
  unshare,
} from "../sys/native.ts";
import { MountNamespace } from "../sys/mount_namespace.ts";
import type { PlannedStep } from "./plan.ts";
import type { Target } from "./target.ts";
import type { Step } from "./types.ts";

/** Kernels before 6.5 do not know it and say EINVAL. */
export interface CommitOptions {
  readonly beneath: boolean;
}

const COPY = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
const EMPTY = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

/** A thread that may enter mount namespaces. Make one for each thread, in that thread. */
export class NamespaceThread {
  readonly #home: MountNamespace;

  constructor() {
    unshare(CLONE.FS);
    this.#home = MountNamespace.current();
  }

  /** Runs `work` in the namespace of `target`. */
  inside<T>(target: Target, work: () => T): T {
    setns(target.namespaceFd, CLONE.NEWNS);
    try {
      return work();
    } finally {
      this.#home.enter();
    }
  }

  close(): void {
    this.#home.close();
  }
}

/**
 * Does `steps` in the calling thread's namespace. With `allOrNothing`, the first failure takes away
 * what was put in place before it.
 * @throws the first failure, if `allOrNothing`; otherwise a failure is told in its step
 */
export function commitSteps(
  steps: readonly PlannedStep[],
  allOrNothing: boolean,
  options: CommitOptions,
): Step[] {
  const done: Step[] = [];
  const placed: PlannedStep[] = [];
  for (const step of steps) {
    try {
      done.push(commitStep(step, options));
      if (step.treeFd >= 0) placed.push(step);
    } catch (thrown) {
      if (allOrNothing) {
        for (const earlier of placed.reverse()) unmountTop(earlier);
        throw thrown;
      }
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      done.push({ target: step.target, did: "failed", why });
    }
  }
  return done;
}

function commitStep(step: PlannedStep, options: CommitOptions): Step {
  const because = step.why === undefined ? {} : { why: step.why };
  switch (step.does) {
    case "already":
      return { target: step.target, did: "already" };
    case "skip":
      return { target: step.target, did: "skipped", ...because };
    case "attach":
      moveMount(step.treeFd, "", step.targetFd, "", EMPTY);
      giveOptions(step);
      return { target: step.target, did: "attached" };
    case "replace":
      return { target: step.target, did: replace(step, options), ...because };
    case "detach":
      for (let layer = 0; layer < step.layers; layer++) unmountTop(step);
      return { target: step.target, did: "detached", ...because };
  }
}

/**
 * Puts the new mount where the old one is. Slipped beneath the old one first, it is there at the
 * moment the old one goes: no reader meets the kernel's own file in between. A mount that came into
 * the namespace locked (made by a more privileged one) cannot be taken away: it is covered.
 */
function replace(step: PlannedStep, options: CommitOptions): "replaced" | "covered" {
  if (options.beneath) {
    try {
      moveMount(step.treeFd, "", step.targetFd, "", EMPTY | MOVE_MOUNT_BENEATH);
    } catch (thrown) {
      if (errnoOf(thrown) !== errno.EINVAL) throw thrown;
      return replaceFromAbove(step, step.treeFd);
    }
    if (tryUnmountTop(step)) return "replaced";
    // The copy now lies below, where a copy of it can still be made.
    const treeFd = openTree(step.treeFd, "", COPY | AT_EMPTY_PATH);
    try {
      moveMount(treeFd, "", step.targetFd, "", EMPTY);
      return "covered";
    } finally {
      closeSync(treeFd);
    }
  }
  return replaceFromAbove(step, step.treeFd);
}

/** For kernels and places without MOVE_MOUNT_BENEATH: a reader may meet the kernel's own file for a moment. */
function replaceFromAbove(step: PlannedStep, treeFd: number): "replaced" | "covered" {
  const removed = tryUnmountTop(step);
  moveMount(treeFd, "", step.directoryFd, step.name, MOVE_MOUNT_F_EMPTY_PATH);
  giveOptions(step);
  return removed ? "replaced" : "covered";
}

/** On kernels that could not give them to the copy before it was in place. */
function giveOptions(step: PlannedStep): void {
  if (step.remount === 0) return;
  fchdir(step.directoryFd);
  try {
    mount("none", step.name, null, MS.REMOUNT | MS.BIND | step.remount, null);
  } catch (thrown) {
    unmountTop(step);
    throw thrown;
  }
}

/** @returns false if the mount is locked into its namespace */
function tryUnmountTop(step: PlannedStep): boolean {
  try {
    unmountTop(step);
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === errno.EINVAL) return false;
    throw thrown;
  }
}

/** By name from its directory: the path up to there cannot be turned elsewhere meanwhile. */
function unmountTop(step: PlannedStep): void {
  fchdir(step.directoryFd);
  umount(step.name, MNT.DETACH | MNT.UMOUNT_NOFOLLOW);
}
