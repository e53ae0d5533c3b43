/**
 * The Debian package of arm64, unpacked and run by QEMU's emulation of the processor (qemu-user): its
 * Node.js, its koffi, its server. System calls are answered by this machine's kernel.
 */
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CgroupTree } from "../support/cgroup_tree.ts";
import { guardWith } from "../support/guard.ts";
import { whyNoMounts } from "../support/lab.ts";
import { projectRoot } from "../support/project.ts";
import { installed, type Result, run, tryRun } from "../support/run.ts";

/** Libraries of arm64, of Debian's packages for cross compilers. */
const LIBRARIES = "/usr/aarch64-linux-gnu";
const EMULATOR = "/usr/bin/qemu-aarch64";
const LIMIT_KB = 1 << 20;
/** Node.js takes seconds to start in emulation, and more on a busy machine. */
const PATIENCE_MS = 240_000;

/** What holds for another processor may not hold for this one: sizes, layouts, byte order. */
const UNITS = ["fuse/wire", "host/parsers", "cgroup/parsers", "machine/memory"];

const missing =
  installed("qemu-aarch64") && existsSync(`${LIBRARIES}/lib/libstdc++.so.6`)
    ? false
    : "needs qemu-user and arm64's libraries, see tools/setup-debian.sh";
const skip = missing || (installed("dpkg-deb") && installed("npm") ? false : "needs dpkg-deb, npm");

/** The kernel runs binaries of arm64 by QEMU, in a user namespace of ours and nowhere else. */
const BINFMT = `mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
printf '%s' ':aarch64:M::\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00:\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff:${EMULATOR}:F' >/proc/sys/fs/binfmt_misc/register
export QEMU_LD_PREFIX=${LIBRARIES}
`;
const OWN_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork"];

/** Linux 6.7 and later have binfmt_misc by user namespace. */
function whyNoServer(): string | false {
  if (whyNoMounts() !== false) return whyNoMounts();
  const argv = [...OWN_NAMESPACE, "--mount-proc", "sh", "-ec", BINFMT];
  return tryRun(argv).status === 0 ? false : "needs binfmt_misc in user namespaces (Linux 6.7)";
}

void describe("the Debian package of arm64", { skip }, () => {
  let directory: string;
  const app = (...path: string[]): string => join(directory, "root/usr/lib/lxcfs-ts", ...path);
  const emulated = (...args: string[]): Result =>
    // A test run within a test would tell its parent, in the parent's way.
    tryRun(
      ["env", "-u", "NODE_TEST_CONTEXT", EMULATOR, "-L", LIBRARIES, app("bin/node"), ...args],
      { timeoutMs: PATIENCE_MS },
    );

  before(() => {
    directory = mkdtempSync(join(tmpdir(), "lxcfs-arm64-"));
    guardWith(`rm -rf --one-file-system '${directory}'`);
    run(["chmod", "755", directory]);
    const build = ["sh", join(projectRoot, "tools/build-deb.sh"), "--arch", "arm64"];
    const [deb = ""] = run([...build, "--output", directory], { timeoutMs: 300_000 }).split("\n");
    assert.match(deb, /_arm64\.deb$/);
    assert.equal(run(["dpkg-deb", "--field", deb, "Architecture"]), "arm64\n");
    run(["dpkg-deb", "-x", deb, join(directory, "root")]);
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  void test("tells its version, on an arm64", () => {
    const { status, stdout, stderr } = emulated(app("bin/lxcfs"), "--version");
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^"\d+\.\d+\.\d+"\n$/);
    assert.equal(emulated("-p", "process.arch").stdout, "arm64\n");
  });

  void test("loads koffi, and calls the C library", () => {
    const script = `import("koffi").then(({ default: koffi }) =>
      console.log(koffi.load("libc.so.6").func("int getpid()")() === process.pid))`;
    const { stdout, stderr } = tryRun(
      ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", app(), EMULATOR, "-L", LIBRARIES].concat(
        app("bin/node"),
        ["-e", script],
      ),
      { timeoutMs: PATIENCE_MS },
    );
    assert.equal(stdout, "true\n", stderr);
  });

  void test("passes the unit tests of the wire format and of the parsers", () => {
    // The tests are no part of the package: they come to lie beside what is.
    for (const part of ["dist/src", "dist/tools"]) {
      cpSync(join(projectRoot, part), app(part), { recursive: true });
    }
    symlinkSync(join(projectRoot, "fixtures"), app("fixtures"));
    for (const name of readdirSync(join(projectRoot, "node_modules"))) {
      const own = app("node_modules", name);
      if (!existsSync(own)) symlinkSync(join(projectRoot, "node_modules", name), own);
    }
    const files = readdirSync(app("dist/src"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".test.js"))
      .filter((name) => UNITS.some((unit) => name.startsWith(unit)));
    assert.ok(files.length >= UNITS.length, files.join(" "));
    let passed = 0;
    for (const file of files) {
      const { status, stdout, stderr } = emulated(app("dist/src", file));
      assert.equal(status, 0, `${file}: ${stdout}${stderr}`);
      passed += Number(/^# pass (\d+)$/m.exec(stdout)?.[1] ?? 0);
    }
    assert.ok(passed > 50, `${passed} tests`);
    console.log(`arm64: ${passed} unit tests of ${files.length} files`);
  });

  void test("serves a container through the kernel, and unmounts", (t) => {
    const why = whyNoServer();
    if (why !== false) return t.skip(why);
    const cgroups = new CgroupTree(`lxcfs-test-${process.pid}-arm64`, 1);
    try {
      cgroups.limit({ memoryBytes: LIMIT_KB * 1024 }, cgroups.path);
      const script = `${BINFMT}
mount -t tmpfs tmpfs /run && mkdir /run/m
lxcfs="${app("bin/node")} ${app("bin/lxcfs")}"
$lxcfs /run/m &
until head -c1 /run/m/proc/uptime >/dev/null 2>&1; do kill -0 $!; sleep 0.2; done
echo "container $(unshare --pid --fork --mount-proc head -1 /run/m/proc/meminfo)"
$lxcfs status /run/m --json | grep '"restarts"'
kill $! && wait $! && echo "ended $?"
grep -c ' /run/m ' /proc/self/mountinfo || :`;
      const join = `${cgroups.joinScript()}\nexec "$@"`;
      const argv = [...OWN_NAMESPACE, "--kill-child", "--mount-proc", "sh", "-ec", script];
      const { status, stdout, stderr } = tryRun(["sh", "-ec", join, "sh", ...argv], {
        timeoutMs: PATIENCE_MS,
      });
      assert.equal(status, 0, stdout + stderr);
      assert.match(stdout, new RegExp(`^container MemTotal: +${LIMIT_KB} kB$`, "m"), stderr);
      assert.match(stdout, /"restarts": 0,/);
      assert.match(stdout, /^ended 0\n0\n$/m);
    } finally {
      cgroups.remove();
    }
  });
});
