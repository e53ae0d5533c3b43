/** LXC, LXD and Incus: the cgroup has the container's name (`lxc.payload.web`), which is its id. */
import type { Runtime } from "./types.ts";

export const lxc: Runtime = {
  find(_roots, scoped) {
    return scoped
      .filter(({ runtime }) => runtime === "lxc")
      .map(({ runtime, name, pid }) => ({ runtime, id: name, name, pid }));
  },
};
