/** Habits of readers, on real mounts: whole, in bytes, at odd offsets, again, at once, and half. */
import assert from "node:assert/strict";
import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { run, tryRun } from "../support/run.ts";

/** Why a file can't be read. */
function refusal(path: string): string | undefined {
  try {
    readFileSync(path);
    return undefined;
  } catch (error) {
    return String(error);
  }
}

/** Files whose text stands still long enough to be compared. */
const STEADY = ["proc/cpuinfo", "proc/swaps", "sys/devices/system/cpu/online"];
const ALL = [...STEADY, "proc/meminfo", "proc/stat", "proc/uptime", "proc/loadavg"];

void describe("readers", { skip: whyNoMounts() }, () => {
  let lab: Lab;
  before(async () => (lab = await Lab.open()));
  after(async () => await lab?.close());

  const path = (file: string): string => join(lab.server.mountpoint, file);

  void test("one byte at a time gives the whole text", () => {
    for (const file of ["proc/swaps", "sys/devices/system/cpu/online"]) {
      const whole = readFileSync(path(file), "utf8");
      assert.equal(run(["dd", "bs=1", "status=none", `if=${path(file)}`]), whole);
    }
  });

  void test("pieces of a moving text belong to one text", () => {
    const [total] = readFileSync(path("proc/meminfo"), "utf8").split("\n");
    const fd = openSync(path("proc/meminfo"), "r");
    try {
      let text = "";
      const piece = Buffer.alloc(7);
      for (;;) {
        const count = readSync(fd, piece, 0, piece.length, null);
        if (count === 0) break;
        text += piece.toString("latin1", 0, count);
      }
      assert.equal(text.split("\n")[0], total);
      for (const line of text.trimEnd().split("\n")) assert.match(line, /^[\w()]+: +\d+( kB)?$/);
    } finally {
      closeSync(fd);
    }
  });

  void test("pread at any offset, first or later, past the end too", () => {
    for (const file of STEADY) {
      const whole = readFileSync(path(file));
      for (const offset of [1, 3, whole.length - 1, whole.length, whole.length + 1000]) {
        const fd = openSync(path(file), "r");
        try {
          const piece = Buffer.alloc(64);
          const count = readSync(fd, piece, 0, 64, offset);
          assert.deepEqual(piece.subarray(0, count), whole.subarray(offset, offset + 64), file);
        } finally {
          closeSync(fd);
        }
      }
    }
  });

  void test("a held descriptor read again from 0 tells what is now", async () => {
    const fd = openSync(path("proc/uptime"), "r");
    try {
      const read = (): number => {
        const buffer = Buffer.alloc(100);
        return Number(buffer.toString("latin1", 0, readSync(fd, buffer, 0, 100, 0)).split(" ")[0]);
      };
      const first = read();
      await new Promise((resolve) => setTimeout(resolve, 120));
      assert.ok(read() > first);
    } finally {
      closeSync(fd);
    }
  });

  void test("as the kernel's own: modes, no writing, no end but the end", () => {
    for (const file of ALL) {
      const { mode } = statSync(path(file));
      assert.equal(mode & 0o7777, statSync(join("/", file)).mode & 0o7777, file);
      assert.notEqual(tryRun(["sh", "-c", 'echo x > "$1"', "sh", path(file)]).status, 0, file);
      assert.ok(readFileSync(path(file), "utf8").endsWith("\n"), file);
    }
    assert.ok(!existsSync(path("proc/nothing")));
  });

  void test("programs that copy by sendfile get the whole text, of whoever they are", () => {
    // Of a file of size 0 the kernel would send nothing. busybox's cat begins with sendfile.
    for (const file of ["proc/meminfo", "proc/cpuinfo", "sys/devices/system/cpu/online"]) {
      const lines = (text: string): number => text.split("\n").length;
      const sent = run(["busybox", "cat", path(file)]);
      assert.equal(lines(sent), lines(readFileSync(path(file), "utf8")), file);
      assert.ok(lines(sent) > 1, file);
    }
  });

  void test("seeking to the end and from there", () => {
    // As on the kernel's own: the end is where stat puts it, and nothing is read there. Read from the
    // start again a text is a new one, so no more of it is compared than stands still ("cpu ").
    const program = `
      sysopen my $f, $ARGV[0], 0 or die $!;
      sub get { my $got = ""; sysread $f, $got, $_[0]; $got }
      my $whole = get(65536);
      my $end = sysseek $f, 0, 2;
      my $after = get(100);
      sysseek $f, 5, 0; my $middle = get(100);
      sysseek $f, -3, 1; my $again = get(3);
      sysseek $f, 0, 0; my $start = get(4);
      print join " ", $end >= length $whole, length $after, $middle eq substr($whole, 5, 100),
        $again eq substr($whole, 102, 3), $start eq substr($whole, 0, 4);`;
    for (const file of ["proc/cpuinfo", "proc/meminfo", "proc/stat"]) {
      const said = run(["perl", "-e", program, path(file)]).trim();
      assert.equal(said, "1 0 1 1 1", file);
    }
  });

  void test("every file that is listed can be read or refuses as the host's does", () => {
    const listed = run([
      "find",
      lab.server.mountpoint,
      "-path",
      "*/cgroup",
      "-prune",
      "-o",
      "-type",
      "f",
      "-print",
    ]);
    const files = listed.trim().split("\n");
    assert.ok(files.length > 10);
    for (const file of files) {
      const host = file.slice(lab.server.mountpoint.length);
      const refused = refusal(file);
      if (refused !== undefined) assert.notEqual(refusal(host), undefined, `${host}: ${refused}`);
    }
  });

  void test("readers that die in the middle harm nobody", async () => {
    const container = await lab.container({ limits: { memoryBytes: 64 << 20 } });
    const dying =
      "for i in $(seq 20); do dd bs=10 count=1 status=none if=/proc/stat & kill -9 $!; done; wait";
    container.tryExec(["sh", "-c", `(${dying}) >/dev/null 2>&1`]);
    assert.match(container.read("/proc/meminfo"), /^MemTotal: +65536 kB/);
    assert.ok(lab.server.answersNow());
  });

  void test("64 readers at once each get a whole text of their own container", async () => {
    const container = await lab.container({ limits: { memoryBytes: 72 << 20 } });
    const each = `t=$(cat /proc/meminfo); case "$t" in *'MemTotal:          73728 kB'*DirectMap*) ;; *) echo wrong "$t";; esac`;
    const script = `for i in $(seq 64); do (for j in 1 2 3; do ${each}; done) & done; wait`;
    assert.equal(container.exec(["sh", "-c", script], { timeoutMs: 60_000 }), "");
  });
});
