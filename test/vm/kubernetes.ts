/**
 * What makes a Kubernetes node of a guest: kubelet and containerd, images, and the chart's agent as
 * a pod. Staged here, since the guest has neither network nor the tools; shared with it as a folder.
 */
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { manifests } from "../k8s/chart.ts";
import { AGENT_IMAGE, GUEST_KUBERNETES, POD_IMAGE, SANDBOX_IMAGE } from "../kubelet/names.ts";
import type { Share } from "./qemu.ts";
import { repository } from "./repository.ts";

const LAB = process.env["K8S_LAB"] ?? join(repository, "../shared/lab/k8s/");
const PROGRAMS = ["containerd", "containerd-shim-runc-v2", "ctr"];
/** What pods look around with. */
const APPLETS = ["sh", "cat", "sleep", "ls", "echo"];

/** A folder for guests, to be removed when they have ended; or why there is no kubelet to be had here. */
export function stageKubernetes(): Share | string {
  if (!existsSync(`${LAB}kube-bin.tar.xz`)) return "no lab with kubelet's program";
  const containerd = containerdPrograms();
  if (containerd === undefined) return "containerd cannot be fetched";
  const stage = mkdtempSync(join(tmpdir(), "lxcfs-vm-kubernetes-"));
  try {
    const bin = join(stage, "bin");
    mkdirSync(bin);
    execFileSync("tar", ["-C", bin, "-xf", `${LAB}kube-bin.tar.xz`, "kubelet", "pause"]);
    for (const name of PROGRAMS) copyFileSync(join(containerd, name), join(bin, name));
    stageImages(stage, join(bin, "pause"));
    writeFileSync(join(stage, "agent.json"), JSON.stringify(agent()));
  } catch (error) {
    rmSync(stage, { recursive: true, force: true });
    throw error;
  }
  return { hostPath: stage, guestPath: GUEST_KUBERNETES, readOnly: true, cache: "loose" };
}

function containerdPrograms(): string | undefined {
  try {
    const script = join(repository, "test/k8s/fetch_containerd.sh");
    return execFileSync(script, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined;
  }
}

function stageImages(stage: string, pause: string): void {
  const roots = join(stage, "roots");
  for (const name of ["sandbox", "pod/bin", "agent"])
    mkdirSync(join(roots, name), { recursive: true });
  copyFileSync(pause, join(roots, "sandbox/pause"));
  copyFileSync("/bin/busybox", join(roots, "pod/bin/busybox"));
  for (const name of APPLETS) symlinkSync("busybox", join(roots, "pod/bin", name));
  // Not in the image but beside it, as a volume: unpacking it takes minutes in emulation.
  execFileSync(join(repository, "test/k8s/make_rootfs.sh"), [join(roots, "agent")]);
  execFileSync("mv", [join(roots, "agent/usr"), join(stage, "usr")]);
  const image = (name: string, root: string, ...options: string[]) =>
    execFileSync(
      `${LAB}image.sh`,
      ["tar", name, join(roots, root), join(stage, `${root}.tar`), ...options],
      { env: { ...process.env, LAB_DIR: join(stage, "lab") } },
    );
  image(SANDBOX_IMAGE, "sandbox", "--entrypoint", '["/pause"]');
  image(POD_IMAGE, "pod");
  const command = '["node","/usr/lib/lxcfs-ts/bin/lxcfs"]';
  image(AGENT_IMAGE, "agent", "--entrypoint", command);
  rmSync(roots, { recursive: true });
}

interface Rendered {
  kind: string;
  data?: Record<string, string>;
  spec?: { template?: { spec: object } };
}

/** The chart's pod of the agent, and its settings. */
function agent(): { spec: object; settings: string } {
  const [repositoryName, tag] = AGENT_IMAGE.split(":");
  const text = manifests({
    values: {
      image: { repository: repositoryName, tag },
      injection: { mode: "attach" },
      agent: { attach: "watch" },
    },
  });
  const objects = parseAllDocuments(text).map((document) => document.toJS() as Rendered | null);
  const of = (kind: string) => objects.find((object) => object?.kind === kind);
  const spec = of("DaemonSet")?.spec?.template?.spec;
  const settings = of("ConfigMap")?.data?.["settings.json"];
  if (spec === undefined || settings === undefined)
    throw new Error("Cannot make the agent's pod: the chart has no DaemonSet with settings");
  return { spec, settings };
}
