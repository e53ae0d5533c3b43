/**
 * containerd, whoever uses it (ctr, nerdctl, Kubernetes): each running task has a directory
 * `/run/containerd/io.containerd.runtime.v2.task/<namespace>/<id>` with `init.pid` and the OCI
 * `config.json`, whose annotations name a Kubernetes container.
 */
import { tryReadFile } from "../sys/read.ts";
import { asPid, asText, dig, namesIn, processExists, tryReadJson } from "./state_files.ts";
import type { FoundContainer, Runtime } from "./types.ts";

/** Docker's own namespace in containerd: those are found as Docker's. */
const DOCKER_NAMESPACE = "moby";

export const containerd: Runtime = {
  find({ run, proc }, scoped) {
    const tasks = `${run}/containerd/io.containerd.runtime.v2.task`;
    const found: FoundContainer[] = [];
    for (const namespace of namesIn(tasks)) {
      if (namespace === DOCKER_NAMESPACE) continue;
      for (const id of namesIn(`${tasks}/${namespace}`)) {
        const directory = `${tasks}/${namespace}/${id}`;
        const pid = asPid(tryReadFile(`${directory}/init.pid`)?.trim());
        if (pid === undefined || !processExists(proc, pid)) continue;
        found.push({ runtime: "containerd", id, name: nameOf(directory) ?? id, pid });
      }
    }
    const known = new Set(found.map(({ id }) => id));
    for (const { runtime, name: id, pid } of scoped) {
      if (known.has(id)) continue;
      if (runtime === "containerd" || runtime === "kubernetes") {
        found.push({ runtime, id, name: id, pid });
      }
    }
    return found;
  },
};

function nameOf(directory: string): string | undefined {
  const annotations = dig(tryReadJson(`${directory}/config.json`), "annotations");
  const name =
    asText(dig(annotations, "io.kubernetes.cri.container-name")) ??
    asText(dig(annotations, "nerdctl/name"));
  return name;
}
