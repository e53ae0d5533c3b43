/** `lxcfs heal --watch`, in a pid and mount namespace of its own, whose other processes it cannot see. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { guardWith } from "../support/guard.ts";
import { whyNoMounts } from "../support/lab.ts";
import { lxcfsCommand } from "../support/project.ts";
import { run } from "../support/run.ts";

/** Two servers, a container with files of the first; the first dies. */
const SCRIPT = `
exec 2>&1
dir=$1 lxcfs=$2
answers() { head -c1 "$1" >/dev/null 2>&1; }
serve() { $lxcfs -p $dir/$1.pid --runtime-dir $dir/run $dir/$1 >/dev/null & }
serve dying; dying=$!
serve living
until answers $dir/dying/proc/uptime && answers $dir/living/proc/uptime; do sleep 0.1; done
unshare --mount --propagation private sh -c "
  mount --bind $dir/dying/proc/uptime /proc/uptime
  mount --bind $dir/dying/sys/devices/system/cpu /sys/devices/system/cpu
  exec sleep 1000" &
container=$!
until grep -q ' /sys/devices/system/cpu ' /proc/$container/mountinfo; do sleep 0.1; done
inside() { nsenter -t $container -m -- "$@"; }
$lxcfs heal --watch --every 1 --mountpoint $dir/living &
for round in 1 2; do
  inside cat /proc/uptime >/dev/null && echo "alive $round"
  [ $round = 2 ] && break
  kill -9 $dying $(cat /proc/$dying/task/$dying/children)
  until ! answers $dir/dying/proc/uptime; do sleep 0.01; done
  echo dead
  until inside cat /proc/uptime /sys/devices/system/cpu/online >/dev/null 2>&1; do sleep 0.1; done
done
grep -c ' /proc/uptime ' /proc/$container/mountinfo
`;

void test("heal --watch replaces what dies", { skip: whyNoMounts() }, () => {
  const directory = mkdtempSync(join(tmpdir(), "lxcfs-watch-"));
  guardWith(`rm -rf --one-file-system '${directory}'`);
  for (const name of ["dying", "living", "run"]) mkdirSync(join(directory, name));
  const own = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"];
  const argv = ["setpriv", "--pdeathsig", "KILL", ...own, "sh", "-ec", SCRIPT, "sh"];
  const said = run([...argv, directory, lxcfsCommand], { timeoutMs: 120_000 });
  assert.match(said, /^alive 1\ndead\n(?:.*\n)*alive 2\n1\n$/m, said);
  // Both files, and what else the container's copy of the mount table has of the dead filesystem.
  assert.match(said, /namespace of process \d+: \d+ replaced\n/, said);
  rmSync(directory, { recursive: true, force: true });
});
