/**
 * What is wrong on a Kubernetes node, for `kubectl lxcfs doctor`.
 *
 * `lxcfs node-agent doctor`: the server, the kernel, and the containers that should have their files
 * by their pods' labels and annotations and have not. Those that nobody wants attached are left out.
 * `lxcfs node-agent pod doctor UID [CONTAINER-ID]...`: whether each container of one pod is shown its
 * own machine: the files it has, whether they answer, and what they say beside its cgroups.
 */
import { existsSync } from "node:fs";
import { exitCodeOf, findingsText, type Finding } from "../explain/doctor/finding.ts";
import { hostChecks } from "../explain/doctor/host_checks.ts";
import { mountChecks } from "../explain/doctor/mount_checks.ts";
import { Containers } from "../explain/subject.ts";
import { attachedText, sizeText, survey, type SurveyRow } from "../explain/survey.ts";
import { parseMeminfo } from "../host/meminfo.ts";
import type { FoundContainer } from "../runtimes/types.ts";
import { containersNow, firstProcess, isPause } from "../k8s/agent/container_process.ts";
import { decide, WHY_NOT } from "../k8s/agent/decide.ts";
import { podProcesses, unknown } from "../k8s/agent/pod_command.ts";
import { containerName, PodDirectory } from "../k8s/agent/pods.ts";
import { ApiClient, podAccess } from "../k8s/api/client.ts";
import { DEFAULT_SETTINGS, type InjectionSettings } from "../k8s/webhook/selection.ts";
import { readSettings } from "../k8s/webhook/settings.ts";
import { readFile } from "../sys/read.ts";
import { stateOf } from "./doctor.ts";

/** As much of a container's id as people look at. */
const SHORT_ID = 12;

export interface NodeDoctorOptions {
  mountPoint: string;
  runtimeDir: string;
  /** The settings file; where there is none, the built-in settings hold. */
  config: string;
}

export async function nodeDoctor(options: NodeDoctorOptions): Promise<number> {
  const state = await stateOf(options.mountPoint, options.runtimeDir);
  const settings = settingsIn(options.config);
  const findings = hostChecks({ proc: "/proc", root: "" });
  try {
    const rows = surveyOf(await meantToHave(settings));
    const checks = mountChecks([state], rows, "/proc");
    findings.push(...checks.map((finding) => ({ ...finding, ...remedyHere(finding) })));
  } catch (error) {
    findings.push({ check: "pods", severity: "warning", message: `not known: ${String(error)}` });
  }
  process.stdout.write(findingsText(findings));
  return exitCodeOf(findings);
}

/** Containers of this node that are to have their files, by what the agent itself goes by. */
async function meantToHave(settings: InjectionSettings): Promise<FoundContainer[]> {
  const client = new ApiClient(podAccess(process.env));
  const found: FoundContainer[] = [];
  try {
    const directory = new PodDirectory(client, process.env["NODE_NAME"] ?? "");
    const pods = await directory.refresh();
    for (const { podUid, id, cgroup } of containersNow()) {
      const pod = pods.get(podUid);
      const pid = firstProcess(cgroup);
      if (!pod || pid === 0 || isPause(pid)) continue;
      const namespace = pod.metadata?.namespace ?? "";
      const decision = decide(pod, await directory.namespaceLabels(namespace), settings);
      const container = containerName(pod, id) ?? id.slice(0, SHORT_ID);
      if (!decision.attach || decision.excludedContainers.has(container)) continue;
      const name = `${namespace}/${pod.metadata?.name}/${container}`;
      found.push({ runtime: "pod", name, id, pid });
    }
  } finally {
    client.close();
  }
  return found;
}

/** What to do here, where a plain host's remedy would be of no use. */
function remedyHere({ check, remedy }: Finding): { remedy?: string } {
  if (remedy === undefined) return {};
  if (check === "containers") return { remedy: "kubectl lxcfs attach POD" };
  return { remedy: "the agent mends this by itself: see its log" };
}

function surveyOf(found: readonly FoundContainer[]): SurveyRow[] {
  const containers = new Containers();
  const rows = survey(containers, found);
  containers.close();
  return rows;
}

export async function podDoctor(
  args: readonly string[],
  { mountPoint, config }: Omit<NodeDoctorOptions, "runtimeDir">,
): Promise<number> {
  const [uid = "", ...ids] = args;
  const found = podProcesses(uid, ids).map(({ id, pid }) => {
    return { runtime: "kubernetes", name: id.slice(0, SHORT_ID), id, pid };
  });
  if (found.length === 0) return unknown(uid);
  const rows = surveyOf(found);
  const bare = rows.some(({ attached }) => attached.files === 0);
  // Only worth asking where there is something to explain.
  const whyNot = bare ? await whyLeftAlone(uid, config) : () => undefined;
  const findings = rows.map((row) => examine(row, mountPoint, whyNot));
  process.stdout.write(findingsText(findings));
  return exitCodeOf(findings);
}

/** Why a container of this pod has none of our files, by its id; nothing where it should have. */
async function whyLeftAlone(
  uid: string,
  config: string,
): Promise<(id: string) => string | undefined> {
  const client = new ApiClient(podAccess(process.env));
  try {
    const directory = new PodDirectory(client, process.env["NODE_NAME"] ?? "");
    const pod = await directory.byUid(uid);
    if (!pod) return () => "the API server does not know its pod";
    const labels = await directory.namespaceLabels(pod.metadata?.namespace ?? "");
    const decision = decide(pod, labels, settingsIn(config));
    if (!decision.attach) return () => WHY_NOT[decision.why];
    return (id) =>
      decision.excludedContainers.has(containerName(pod, id) ?? "")
        ? "its pod leaves it out (lxcfs.io/exclude-containers)"
        : undefined;
  } catch (error) {
    return () => `why is not known: ${String(error)}`;
  } finally {
    client.close();
  }
}

function settingsIn(config: string): InjectionSettings {
  return existsSync(config) ? readSettings(config) : DEFAULT_SETTINGS;
}

function examine(
  row: SurveyRow,
  mountPoint: string,
  whyNot: (id: string) => string | undefined,
): Finding {
  const check = `container ${row.name}`;
  if (row.attached.files === 0) {
    const why = whyNot(row.id);
    const message = `sees the node's files${why === undefined ? "" : `: ${why}`}`;
    return { check, severity: "warning", message, remedy: "kubectl lxcfs attach POD" };
  }
  try {
    // By its own eyes: a dead mount is dead there, whatever lives here.
    readFile(`/proc/${row.pid}/root/proc/meminfo`);
    const shown = row.attached.container ?? row.container;
    const root = shown === null ? "" : `/containers/${shown}`;
    const meminfo = parseMeminfo(readFile(`${mountPoint}${root}/proc/meminfo`));
    const shownBytes = (meminfo.get("MemTotal") ?? 0) * 1024;
    const limit = row.memoryLimitBytes === null ? "no limit" : sizeText(row.memoryLimitBytes);
    const whose = shown === row.container ? "" : "; shown another cgroup's: lxcfs.io/boundary";
    const files = `files ${attachedText(row.attached)}; memory ${sizeText(shownBytes)}, its cgroup says ${limit}${whose}`;
    // A limit above the node's memory is none.
    const wrong =
      shown === row.container && row.memoryLimitBytes !== null && shownBytes > row.memoryLimitBytes;
    if (!wrong) return { check, severity: "ok", message: files };
    return { check, severity: "error", message: files, remedy: "kubectl lxcfs doctor" };
  } catch (error) {
    const message = `its files do not answer: ${String(error)}`;
    return { check, severity: "error", message, remedy: "kubectl lxcfs attach POD" };
  }
}
