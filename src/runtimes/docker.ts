/**
 * Docker: found by cgroup (`docker-<id>.scope`, `/docker/<id>`); the name is in
 * `/var/lib/docker/containers/<id>/config.v2.json`, `"Name":"/web"`.
 */
import { asText, dig, tryReadJson } from "./state_files.ts";
import type { Runtime } from "./types.ts";

export const docker: Runtime = {
  find({ varLib }, scoped) {
    return scoped
      .filter(({ runtime }) => runtime === "docker")
      .map(({ runtime, name: id, pid }) => {
        const config = tryReadJson(`${varLib}/docker/containers/${id}/config.v2.json`);
        return { runtime, id, name: asText(dig(config, "Name"))?.replace(/^\//, "") ?? id, pid };
      });
  },
};
