import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { exitCodeOf, type Finding, findingsText } from "./finding.ts";
import { hostChecks } from "./host_checks.ts";
import { mountChecks, type MountState } from "./mount_checks.ts";

/** A machine of files, removed after `use`. */
function machine(files: Readonly<Record<string, string>>, use: (f: Finding[]) => void): void {
  const root = mkdtempSync(join(tmpdir(), "lxcfs-doctor-"));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    mkdirSync(join(root, "proc/1/ns"), { recursive: true });
    symlinkSync("mnt:[4026531841]", join(root, "proc/1/ns/mnt"));
    use(hostChecks({ proc: join(root, "proc"), root }));
  } finally {
    rmSync(root, { recursive: true });
  }
}

const V2 = "30 20 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
const PROC = "22 20 0:21 / /proc rw,nosuid - proc proc rw\n";
const HEALTHY = {
  "dev/fuse": "",
  "proc/sys/kernel/osrelease": "6.12.1-amd64\n",
  "proc/self/mountinfo": V2 + PROC,
  "proc/meminfo": "SwapTotal:       1024 kB\n",
  "sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
  "sys/fs/cgroup/a/memory.max": "max\n",
  "sys/fs/cgroup/a/memory.swap.max": "max\n",
};

void describe("the doctor on a host", () => {
  void it("finds nothing wrong where nothing is", () => {
    machine(HEALTHY, (findings) => {
      assert.deepEqual(
        findings.filter(({ severity }) => severity !== "ok"),
        [],
      );
      assert.equal(exitCodeOf(findings), 0);
    });
  });

  for (const [what, change, check, severity, words] of [
    [
      "an old kernel",
      { "proc/sys/kernel/osrelease": "5.4.0\n" },
      ...["kernel", "error", /older than 5\.10/],
    ],
    [
      "a kernel that lacks something",
      { "proc/sys/kernel/osrelease": "6.8.0\n" },
      ...["kernel", "note", /send requests again/],
    ],
    [
      "a missing controller",
      { "sys/fs/cgroup/cgroup.controllers": "cpuset cpu memory\n" },
      ...["controllers", "warning", /no io controller: diskstats/],
    ],
    ["no cgroups", { "proc/self/mountinfo": PROC }, "cgroups", "error", /no cgroups are mounted/],
    [
      "hidepid",
      { "proc/self/mountinfo": `${V2}22 20 0:21 / /proc rw - proc proc rw,hidepid=invisible\n` },
      ...["hidepid", "warning", /hidepid=invisible/],
    ],
  ] as const) {
    void it(`finds ${what}`, () => {
      machine({ ...HEALTHY, ...change }, (findings) => {
        const found = findings.find((each) => each.check === check && each.severity !== "ok");
        assert.equal(found?.severity, severity);
        assert.match(found?.message ?? "", words);
        assert.ok(found?.remedy);
      });
    });
  }

  void it("finds swap that is not accounted", () => {
    const { "sys/fs/cgroup/a/memory.swap.max": _, ...files } = HEALTHY;
    machine(files, (findings) => {
      const found = findings.find(({ check }) => check === "swap");
      assert.equal(found?.severity, "warning");
    });
  });
});

void describe("the doctor on mounts", () => {
  const mount = (state: MountState["state"], ours = true): MountState => ({
    mountPoint: "/m",
    state,
    version: "1.0.0",
    hostView: false,
    upgradeError: "",
    ours,
  });
  const findings = (...mounts: MountState[]): Finding[] => mountChecks(mounts, [], "/proc");
  const severityOf = (found: readonly Finding[], check: string): string | undefined =>
    found.find((each) => each.check === check)?.severity;

  void it("tells a living server from a dead, a hung and another one", () => {
    assert.equal(severityOf(findings(mount("answers")), "server"), "ok");
    assert.equal(severityOf(findings(), "server"), "error");
    assert.equal(severityOf(findings(mount("dead")), "stale-mount"), "error");
    assert.equal(severityOf(findings(mount("hung")), "hung-mount"), "error");
    assert.equal(severityOf(findings(mount("answers", false)), "another-lxcfs"), "warning");
    const host = { ...mount("answers"), hostView: true, upgradeError: "no" };
    assert.equal(severityOf(findings(host), "host-view"), "warning");
    assert.equal(severityOf(findings(host), "upgrade"), "warning");
  });

  void it("writes the remedy below what is wrong, and ends with a code for scripts", () => {
    const bad: Finding = { check: "a", severity: "error", message: "b", remedy: "c" };
    assert.equal(findingsText([bad]), "error   a: b\n        c\n");
    assert.equal(exitCodeOf([bad, { check: "x", severity: "warning", message: "" }]), 2);
    assert.equal(exitCodeOf([{ check: "x", severity: "warning", message: "" }]), 1);
    assert.equal(exitCodeOf([{ check: "x", severity: "note", message: "" }]), 0);
  });
});
