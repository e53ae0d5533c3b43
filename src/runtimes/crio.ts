/**
 * CRI-O: found by cgroup (`crio-<id>.scope`); the name is among the annotations of
 * `/run/containers/storage/overlay-containers/<id>/userdata/config.json`.
 */
import { asText, dig, tryReadJson } from "./state_files.ts";
import type { Runtime } from "./types.ts";

export const crio: Runtime = {
  find({ run }, scoped) {
    return scoped
      .filter(({ runtime }) => runtime === "crio")
      .map(({ runtime, name: id, pid }) => {
        const userdata = `${run}/containers/storage/overlay-containers/${id}/userdata`;
        const annotations = dig(tryReadJson(`${userdata}/config.json`), "annotations");
        const name = asText(dig(annotations, "io.kubernetes.container.name"));
        return { runtime, id, name: name ?? id, pid };
      });
  },
};
