/** show, explain, doctor, ps and top as people call them, about real containers. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { OciContainer } from "../support/oci.ts";
import { keyedNumbers } from "../support/parse.ts";
import { attachCommand, lxcfsCommand } from "../support/project.ts";
import { installed, type Result, run, tryRun } from "../support/run.ts";
import { waitFor } from "../support/wait.ts";

const MIB = 1 << 20;

interface Field {
  readonly name: string;
  readonly value: string;
  readonly rule: string;
  readonly file?: string;
  readonly level?: number;
  readonly levels?: number;
}

void describe("it explains itself", { skip: whyNoMounts() }, () => {
  let lab: Lab;
  let container: Container;
  let noRunc: string | false = false;

  before(async () => {
    lab = await Lab.open({ args: ["--cpu-policy", "quota"] });
    container = await lab.container({
      depth: 3,
      limitLevel: 2,
      limits: { memoryBytes: 96 * MIB },
    });
  });
  after(async () => await lab?.close());

  const server = (): string[] => [
    "--mountpoint",
    lab.server.mountpoint,
    "--runtime-dir",
    join(lab.server.directory, "run"),
  ];
  const lxcfs = (...args: string[]): Result => tryRun([lxcfsCommand, ...args, ...server()]);
  const pid = (): string => String(container.initPid);
  const explained = (file: string): Map<string, Field> => {
    const { status, stdout, stderr } = lxcfs("explain", file, "--pid", pid(), "--json");
    assert.equal(status, 0, stderr);
    const { fields } = JSON.parse(stdout) as { fields: Field[] };
    return new Map(fields.map((field) => [field.name, field]));
  };

  void test("explain tells the limit, its cgroup, and among how many levels", () => {
    const total = explained("meminfo").get("MemTotal");
    assert.equal(total?.value, `${96 * 1024} kB`);
    assert.match(
      total?.rule ?? "",
      /^memory\.(max|limit_in_bytes) of \/.+, the tightest of \d+ levels$/,
    );
    assert.equal(total?.level, 2);
    const limit = Number(readFileSync(total?.file ?? "", "utf8"));
    assert.equal(limit, 96 * MIB);
  });

  void test("every field of meminfo is explained, with the value that the container reads", () => {
    const fields = explained("/proc/meminfo");
    const inside = keyedNumbers(container.read("/proc/meminfo"));
    assert.deepEqual([...fields.keys()], [...inside.keys()]);
    for (const name of ["MemTotal", "SwapTotal", "Hugepagesize", "VmallocTotal", "CommitLimit"]) {
      assert.equal(Number.parseInt(fields.get(name)?.value ?? "", 10), inside.get(name), name);
    }
    for (const { name, rule } of fields.values()) assert.notEqual(rule, "", name);
  });

  void test("explain says why there are so many CPUs", async () => {
    const held = await lab.container({ limits: { cpuQuotaUs: 100_000, cpuPeriodUs: 100_000 } });
    const inside = held.read("/proc/cpuinfo").match(/^processor/gm)?.length;
    for (const file of ["cpuinfo", "cpu/online", "stat"]) {
      const args = ["explain", file, "--pid", String(held.initPid), "--json"];
      const { fields } = JSON.parse(lxcfs(...args).stdout) as { fields: Field[] };
      const find = (name: string): Field | undefined => fields.find((each) => each.name === name);
      assert.equal(find("CPUs")?.value, String(inside), file);
      assert.equal(find("policy")?.value, "quota");
      assert.equal(find("quota")?.value, "1.00");
      assert.match(find("quota")?.rule ?? "", /^\d+ us in \d+ us, cpu\.(max|cfs_quota_us) of \//);
    }
  });

  void test("uptime and load are told by the words that the container reads", () => {
    const uptime = explained("uptime").get("uptime");
    assert.match(uptime?.rule ?? "", new RegExp(`age of process ${pid()},`));
    const inside = Number(container.read("/proc/uptime").split(" ")[0]);
    assert.ok(Math.abs(inside - Number(uptime?.value)) < 5);
    assert.match(explained("loadavg").get("threads")?.value ?? "", /^\d+$/);
  });

  for (const [what, args, code, message] of [
    ["a process that is gone", ["show", "meminfo", "--pid", "4194303"], 3, /does not exist/],
    ["a name that nobody has", ["explain", "stat", "--container", "nobody-here"], 3, /no running/],
    ["no file", ["show", "--pid", "1"], 2, /one file is expected/],
    [
      "a file that is not served",
      ["show", "mounts", "--pid", "1"],
      2,
      /is no file that lxcfs serves/,
    ],
    ["nobody", ["explain", "meminfo"], 2, /whose\?/],
    ["both", ["explain", "meminfo", "--pid", "1", "--container", "x"], 2, /whose\?/],
    ["no number", ["show", "meminfo", "--pid", "x1"], 2, /--pid takes a number/],
    ["an unknown option", ["ps", "--wrong"], 2, /--wrong/],
    ["an interval that is none", ["top", "--interval", "soon"], 2, /--interval takes seconds/],
  ] as const) {
    void test(`${what}: one line, and its own exit code`, () => {
      const { status, stdout, stderr } = lxcfs(...args);
      assert.equal(status, code, stderr);
      assert.match(stderr, message);
      assert.match(stderr, /^[^\n]+\n$/);
      assert.equal(stdout, "");
    });
  }

  void test("no server: one line, and its own exit code", () => {
    const { status, stderr } = tryRun([
      ...[lxcfsCommand, "show", "meminfo", "--pid", pid()],
      ...["--mountpoint", "/tmp"],
    ]);
    assert.equal(status, 6);
    assert.match(stderr, /^lxcfs show: no lxcfs is mounted on \/tmp\n$/);
  });

  void test("no rights: one line, and its own exit code", () => {
    const { status, stderr } = tryRun([
      // It may read the program's files wherever they lie, and nothing else that root may.
      ...["setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps", "+dac_read_search"],
      ...["--ambient-caps", "+dac_read_search", process.execPath],
      ...[lxcfsCommand, "show", "meminfo", "--pid", "1"],
    ]);
    assert.equal(status, 5, stderr);
    assert.match(stderr, /^lxcfs show: only root .*\n$/);
  });

  void test("a runtime that is not installed: one line, and its own exit code", (t) => {
    if (installed("crio")) return t.skip("CRI-O is installed");
    const { status, stderr } = lxcfs("show", "meminfo", "--container", "crio:web");
    assert.equal(status, 7, stderr);
    assert.match(stderr, /^lxcfs show: crio is not installed here .*\n$/);
  });

  void test("doctor finds what is right and what is wrong, and says it by its exit code", () => {
    const healthy = lxcfs("doctor", "--json");
    const { findings, exitCode } = JSON.parse(healthy.stdout) as {
      findings: { check: string; severity: string; message: string; remedy?: string }[];
      exitCode: number;
    };
    assert.equal(healthy.status, exitCode);
    assert.equal(findings.find(({ check }) => check === "server")?.severity, "ok");
    for (const { severity, message, remedy } of findings) {
      if (severity !== "ok") assert.ok(remedy, message);
    }
    const none = tryRun([lxcfsCommand, "doctor", "--mountpoint", "/tmp"]);
    assert.equal(none.status, 2);
    assert.match(none.stdout, /^error +server: no lxcfs-ts serves/m);
  });

  noRunc = installed("runc") ? false : "runc is not installed";
  void test(
    "ps and top list a container with limits, files and reads",
    { skip: noRunc },
    async () => {
      const running = OciContainer.start("runc", { limits: { memoryBytes: 64 * MIB } });
      // runc keeps its containers where the test told it to; people's are in /run/runc.
      // Others' dead mounts lie in there, too, at which find complains.
      const find = ["find", tmpdir(), "-maxdepth", "3", "-path", `*/state/${running.id}`];
      const states = tryRun(find).stdout;
      const link = `/run/runc/${running.id}`;
      mkdirSync("/run/runc", { recursive: true });
      symlinkSync(states.trim(), link);
      try {
        assert.equal(
          tryRun([...attachCommand, String(running.initPid), "--mountpoint", lab.server.mountpoint])
            .status,
          0,
        );
        type Row = Record<string, unknown> & { attached: { files: number; how: string } };
        const listed = JSON.parse(lxcfs("ps", "--json").stdout) as Row[];
        const row = listed.find((each) => each["pid"] === running.initPid);
        assert.equal(row?.["memoryLimitBytes"], 64 * MIB);
        assert.equal(row?.attached.how, "by path");
        assert.ok((row?.attached.files ?? 0) >= 8);
        assert.match(lxcfs("ps").stdout, /^RUNTIME +NAME +PID .*\n(.*\n)*runc .* 64M .*by path/m);
        assert.match(lxcfs("top").stdout, /runc:.* \[\|* *\] .*\/64M/);
        const name = String(row?.["name"]);
        const shown = lxcfs("show", "meminfo", "--container", name);
        assert.equal(keyedNumbers(shown.stdout).get("MemTotal"), 65_536, shown.stderr);
        const doctor = lxcfs("doctor");
        assert.match(doctor.stdout, /containers: all \d+ have their files|containers see the host/);
      } finally {
        rmSync(link, { force: true });
        running.stop();
      }
    },
  );

  void test("reads are counted by container", async () => {
    const before = counted();
    for (let i = 0; i < 5; i++) container.read("/proc/uptime");
    const name = JSON.parse(lxcfs("show", "uptime", "--pid", pid(), "--json").stdout) as {
      container: string;
    };
    const grown = (counted()[name.container] ?? 0) - (before[name.container] ?? 0);
    assert.ok(grown >= 5, `${grown} reads counted`);

    function counted(): Record<string, number> {
      const args = ["status", lab.server.mountpoint, "--json"];
      const dir = ["--runtime-dir", join(lab.server.directory, "run")];
      const status = JSON.parse(run([lxcfsCommand, ...args, ...dir])) as {
        readers: Record<string, number>;
      };
      return status.readers;
    }
  });

  const noTmux = installed("tmux") ? false : "tmux is not installed";
  for (const [how, keys] of [
    ["q", "q"],
    ["Ctrl-C", "C-c"],
  ] as const) {
    void test(`top in a terminal of 80x24 ends on ${how}`, { skip: noTmux }, async () => {
      const directory = mkdtempSync(join(tmpdir(), "lxcfs-top-"));
      const socket = join(directory, "tmux");
      const tmux = (...args: string[]): string =>
        run(["tmux", "-S", socket, "-f", "/dev/null", ...args]);
      try {
        const top = [lxcfsCommand, "top", "--no-color", "--interval", "1", ...server()].join(" ");
        // stty tells whether the terminal was given back as it was.
        const script = `before=$(stty -g); ${top}; echo "ended $?"; [ "$(stty -g)" = "$before" ] && echo as before; sleep 30`;
        tmux("new-session", "-d", "-x", "80", "-y", "24", "sh", "-c", script);
        const screen = (): string => tmux("capture-pane", "-p", "-e");
        const shown = await waitFor("top draws", () =>
          screen().includes("lxcfs top:") ? screen() : undefined,
        );
        assert.ok(!shown.includes("\u001b["), "no colour was asked for");
        for (const line of shown.split("\n")) assert.ok(line.length <= 80, line);
        await sleep(1200);
        assert.match(screen(), /lxcfs top: \d+ containers; q quits/);
        tmux("send-keys", keys);
        const end = await waitFor("top ends", () =>
          screen().includes("as before") ? screen() : undefined,
        );
        assert.match(end, /^ended 0$/m);
        assert.doesNotMatch(end, /lxcfs top:/);
      } finally {
        tryRun(["tmux", "-S", socket, "kill-server"]);
        rmSync(directory, { recursive: true, force: true });
      }
    });
  }
});
