/** LXC containers, privileged and not, get their files by the hooks that 00-lxcfs.conf names. */
import assert from "node:assert/strict";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { guardWith, type Undo } from "../support/guard.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { projectRoot } from "../support/project.ts";
import { installed, run } from "../support/run.ts";

const skip =
  whyNoMounts() ||
  (installed("lxc-execute") && installed("busybox") ? false : "needs LXC and busybox-static");

/** Where the packages put the hooks, which the configuration names. */
const INSTALLED = "/usr/share/lxcfs";

void describe("LXC's hooks", { skip }, () => {
  let lab: Lab;
  before(async () => (lab = await Lab.open()));
  after(async () => await lab?.close());

  for (const [kind, config] of [
    ["privileged", []],
    ["unprivileged", ["lxc.idmap = u 0 100000 65536", "lxc.idmap = g 0 100000 65536"]],
  ] as const) {
    void test(`an LXC container, ${kind}, sees itself`, () => {
      const output = execute(kind, lab.server.mountpoint, config);
      assert.match(output, /^MemTotal: +65536 kB$/m);
      const mounted = [...output.matchAll(/^lxcfs (\S+) fuse\.lxcfs/gm)].map((match) => match[1]);
      for (const path of ["/proc/stat", "/proc/pressure", "/sys/devices/system/cpu"]) {
        assert.ok(mounted.includes(path), `${path} of ${mounted.join(" ")}`);
      }
    });
  }

  void test("a container that may nest finds the filesystem where the host has it", () => {
    const { mountpoint } = lab.server;
    const output = execute("nesting", mountpoint, [], (root) => {
      mkdirSync(join(root, mountpoint), { recursive: true });
    });
    assert.ok(output.includes(`lxcfs ${mountpoint} fuse.lxcfs`), output);
  });

  void test("a container starts also where nothing is served", () => {
    const output = execute("unserved", "/nonexistent", []);
    assert.match(output, /^MemTotal: +\d{6,} kB$/m);
    assert.doesNotMatch(output, /^lxcfs /m);
  });

  void test("a container starts also where the server hangs", () => {
    const servers = lab.server.pids();
    for (const pid of servers) process.kill(pid, "SIGSTOP");
    try {
      assert.doesNotMatch(execute("hung", lab.server.mountpoint, []), /^lxcfs /m);
    } finally {
      for (const pid of servers) process.kill(pid, "SIGCONT");
    }
  });
});

let made = 0;

/** Runs one program in a container made for it, which tells its mounts and its memory. */
function execute(
  kind: string,
  mountpoint: string,
  more: readonly string[],
  prepare: (root: string) => void = () => {},
): string {
  const name = `lxcfs-attach-${kind}-${process.pid}-${made++}`;
  const directory = mkdtempSync(join(tmpdir(), "lxcfs-attach-lxc-"));
  const undo: Undo = guardWith(`
find /sys/fs/cgroup -depth -type d -path '*/${name}*' -exec rmdir {} +
rm -rf --one-file-system '${directory}'
`);
  try {
    const root = join(directory, "rootfs");
    for (const path of ["bin", "proc", "sys", "dev", "etc"]) {
      mkdirSync(join(root, path), { recursive: true });
    }
    copyFileSync("/usr/bin/busybox", join(root, "bin/busybox"));
    for (const applet of ["sh", "cat", "head"]) symlinkSync("busybox", join(root, "bin", applet));
    prepare(root);
    // Unprivileged containers come in as another user, and own their root.
    run(["chmod", "755", directory]);
    if (kind === "unprivileged") run(["chown", "-R", "100000:100000", root]);
    // The container's own root runs them: they must be where it may go.
    for (const hook of ["lxc.mount.hook", "lxc.reboot.hook"]) {
      copyFileSync(join(projectRoot, "share", hook), join(directory, hook));
    }
    const hooks = readFileSync(join(projectRoot, "share/00-lxcfs.conf"), "utf8");
    const config = [
      hooks.replaceAll(INSTALLED, directory),
      `lxc.uts.name = ${name}`,
      `lxc.rootfs.path = dir:${root}`,
      "lxc.mount.auto = proc:mixed sys:mixed",
      "lxc.net.0.type = empty",
      "lxc.apparmor.profile = unconfined",
      `lxc.cgroup.dir = ${name}`,
      "lxc.cgroup.memory.limit_in_bytes = 64M",
      "lxc.cgroup2.memory.max = 64M",
      ...more,
    ];
    writeFileSync(join(directory, "config"), `${config.join("\n")}\n`);
    // newuidmap, where it is installed, gives only what these files allow: allow it for this run.
    writeFileSync(join(directory, "subid"), "root:100000:65536\n");
    const script = `for file in /etc/subuid /etc/subgid; do
      [ ! -e $file ] || mount --bind '${directory}/subid' $file; done; exec "$@"`;
    const allowed = ["unshare", "-m", "sh", "-ec", script, "sh"];
    const inside = "cat /proc/mounts; head -1 /proc/meminfo";
    const environment = ["env", `LXCFS_MOUNTPOINT=${mountpoint}`];
    const lxc = ["lxc-execute", "-P", directory, "-n", name, "-f", join(directory, "config")];
    return run([...allowed, ...environment, ...lxc, "--", "/bin/sh", "-c", inside]);
  } finally {
    undo.run();
  }
}
