/**
 * A root filesystem for agent and server that owes nothing to the pod's: the program's own `/usr`
 * from a directory of the node, and the node's `/proc`, `/sys`, `/dev` and cgroups. Kubernetes takes
 * a container's root away with the container; what the server needs to go on, to restart and to be
 * upgraded has to lie elsewhere. It owes nothing to the node's either: no libraries, no shell of a
 * node are used, so that it makes no difference what distribution it runs.
 *
 * The mount namespace is a copy of the pod's, and `runDir` in it still a peer of the node's: what is
 * mounted there, the node and its containers see.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import {
  CLONE,
  execve,
  MNT,
  mount,
  MS,
  pivotRoot,
  setInherit,
  umount,
  unshare,
} from "../../sys/native.ts";

export interface PrivateRootOptions {
  /** Directory whose `usr` is to become `/usr`. */
  program: string;
  /** Directories that are to be there under the same path; those that do not exist are passed over. */
  keep: readonly string[];
  /** Where the node's cgroup hierarchies are mounted in the pod. */
  cgroups: string;
}

/** What a merged-/usr system has as links. */
const LINKS = ["bin", "sbin", "lib", "lib32", "lib64"];

/** Of the calling thread and what it starts; to be followed by `execve`. @throws SystemError */
export function enterPrivateRoot(options: PrivateRootOptions): void {
  unshare(CLONE.NEWNS);
  const root = mkdtempSync(`${tmpdir()}/lxcfs-root-`);
  mount("lxcfs-root", root, "tmpfs", MS.NOSUID | MS.NODEV, "mode=755,size=4m");
  for (const name of LINKS) symlinkSync(`usr/${name}`, `${root}/${name}`);
  for (const name of ["usr", "etc", "tmp", "old", "run", "var"]) mkdirSync(`${root}/${name}`);
  bind(`${options.program}/usr`, `${root}/usr`);
  for (const path of ["/proc", "/sys", "/dev"]) bind(path, `${root}${path}`);
  if (existsSync(options.cgroups)) bind(options.cgroups, `${root}/sys/fs/cgroup`);
  for (const path of options.keep) if (existsSync(path)) bind(path, `${root}${path}`);
  pivotRoot(root, `${root}/old`);
  process.chdir("/");
  // Not to be passed on: the pod's own mounts go on as they are.
  mount("none", "/old", null, MS.REC | MS.PRIVATE, null);
  umount("/old", MNT.DETACH);
  rmdirSync("/old");
}

/** execve(2) with standard streams kept: Node.js marks them to be closed. Does not return. */
export function becomeProgram(
  command: readonly [string, string],
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): never {
  for (const fd of [0, 1, 2]) setInherit(fd, true);
  const [node, script] = command;
  execve(node, [node, script, ...args], environment);
}

function bind(source: string, target: string): void {
  if (!existsSync(target)) {
    const isDirectory = statSync(source).isDirectory();
    mkdirSync(isDirectory ? target : dirname(target), { recursive: true });
    if (!isDirectory) writeFileSync(target, "");
  }
  mount(source, target, null, MS.BIND | MS.REC, null);
}
