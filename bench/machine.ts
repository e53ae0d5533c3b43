/** What a result was measured on. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { arch, cpus, loadavg, release, totalmem } from "node:os";
import { projectRoot } from "../test/support/project.ts";
import { peerInstalled, peerVersion } from "../test/support/server.ts";

/** Enough to judge by, and nothing that names the machine. */
export interface Machine {
  readonly date: string;
  readonly commit: string;
  readonly kernel: string;
  readonly arch: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryMib: number;
  readonly virtual: string;
  readonly os: string;
  readonly node: string;
  readonly peer: string;
  readonly cgroup: string;
  /** 1-minute load when the benchmark began: above 0.5 the figures are of a busy machine. */
  readonly loadBefore: number;
}

export function describeMachine(): Machine {
  return {
    date: new Date().toISOString(),
    commit: output("git", ["-C", projectRoot, "describe", "--always", "--dirty"]),
    kernel: release(),
    arch: arch(),
    cpu: cpus()[0]?.model ?? "unknown",
    cpus: cpus().length,
    memoryMib: Math.round(totalmem() / (1 << 20)),
    virtual: output("systemd-detect-virt", ["--vm"]),
    os: /^PRETTY_NAME="(.*)"$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "unknown",
    node: process.version,
    peer: peerInstalled() ? peerVersion() : "not installed",
    cgroup: cgroupMode(),
    loadBefore: loadavg()[0] ?? 0,
  };
}

function cgroupMode(): string {
  const mounts = readFileSync("/proc/self/mounts", "utf8");
  const v1 = / cgroup /.test(mounts);
  const v2 = / cgroup2 /.test(mounts);
  return v1 && v2 ? "hybrid" : v1 ? "v1" : v2 ? "v2" : "none";
}

function output(program: string, argv: readonly string[]): string {
  try {
    return execFileSync(program, argv, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "unknown";
  }
}
