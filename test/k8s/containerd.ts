/**
 * A containerd that offers NRI, for the lab: it has had it since 1.7, Debian 12 has 1.6. Debian 13's
 * package is unpacked aside (once for each machine, test/k8s/fetch_containerd.sh); nothing of it is
 * installed. Where it cannot be had, the lab runs the machine's own, and what needs NRI is skipped.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { ROOT } from "./chart.ts";

/** Before every start: the lab writes the configuration, in which NRI is off as it is by default. */
const WRAPPER = `#!/bin/sh
printf '[plugins."io.containerd.nri.v1.nri"]\\n  disable = false\\n' >>"$2"
exec "$CONTAINERD" "$@"
`;

/** @returns a directory to put first in the PATH; nothing where there is no such containerd */
export function containerdWithNri(dir: string): string | undefined {
  const fetched = spawnSync(new URL("test/k8s/fetch_containerd.sh", ROOT).pathname, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const programs = fetched.stdout.trim();
  if (fetched.status !== 0 || programs === "") return undefined;
  mkdirSync(dir, { recursive: true });
  const wrapper = `${dir}/containerd`;
  writeFileSync(wrapper, WRAPPER.replace("$CONTAINERD", `${programs}/containerd`));
  chmodSync(wrapper, 0o755);
  return `${dir}:${programs}`;
}
