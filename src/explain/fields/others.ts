/** Where the shorter files come from: uptime, loadavg, swaps, slabinfo, pressure. */
import type { PressureResource } from "../../cgroup/types.ts";
import { cgroupOf, type Explanation, type Field } from "../field.ts";
import { type Evidence, processesSource, sourceRule } from "./cgroup_rules.ts";
import { meminfoRules } from "./meminfo.ts";

export function explainUptime({ container, settings }: Evidence, text: string): Explanation {
  const [up = "", idle = ""] = text.trim().split(" ");
  const leader = container.leader();
  const byNamespace = (leader?.boottimeOffsetNs ?? 0) !== 0;
  const rule =
    leader === undefined
      ? "the host's: nobody was ever seen in this container"
      : byNamespace
        ? `boot time of the time namespace of process ${leader.pid}`
        : settings?.uptime === "host"
          ? "the host's: the server runs with --uptime host"
          : `age of process ${leader.pid}, the container's first`;
  return {
    path: "proc/uptime",
    summary: "seconds since the container started, and how long its CPUs were idle",
    fields: [
      {
        name: "uptime",
        value: up,
        rule,
        ...(leader === undefined
          ? {}
          : { file: `/proc/${leader.pid}/${byNamespace ? "timens_offsets" : "stat"}` }),
      },
      { name: "idle", value: idle, rule: "idle of all rows of /proc/stat together" },
    ],
  };
}

export function explainLoadavg(evidence: Evidence, text: string): Explanation {
  const [one = "", five = "", fifteen = "", counts = "", last = ""] = text.trim().split(" ");
  const [running = "", threads = ""] = counts.split("/");
  const hosts =
    evidence.settings?.loadavg === false
      ? "the host's: the server runs without load averages"
      : undefined;
  const processes = processesSource(evidence);
  const own = (name: string, value: string, what: string): Field => ({
    ...{ name, value },
    ...(hosts === undefined ? sourceRule(processes, what) : { rule: hosts }),
  });
  const average = "runnable and waiting threads, sampled every 5 s as the kernel does";
  return {
    path: "proc/loadavg",
    summary: hosts ?? "the load of the container's own threads, sampled while it is read",
    fields: [
      own("1 min", one, average),
      own("5 min", five, average),
      own("15 min", fifteen, average),
      own("running", running, "its runnable threads, counted, and the one that reads"),
      own("threads", threads, "the container's threads, counted, of all below it"),
      { name: "last pid", value: last, rule: hosts ?? "the youngest pid in the container" },
    ],
  };
}

export function explainSwaps(evidence: Evidence, text: string): Explanation {
  const why = meminfoRules(evidence);
  const total = why("SwapTotal");
  const summary = "what the container may swap to, as one area";
  const [, row] = text.trimEnd().split("\n");
  if (row === undefined) {
    return { path: "proc/swaps", summary, fields: [{ name: "areas", value: "0", ...total }] };
  }
  const [filename = "", type = "", size = "", used = "", priority = ""] = row.trim().split(/\s+/);
  const made = "no area of the host's: the container is not told what they are";
  return {
    path: "proc/swaps",
    summary,
    fields: [
      { name: "Filename", value: filename, rule: made },
      { name: "Type", value: type, rule: made },
      { name: "Size", value: size, ...total },
      {
        name: "Used",
        value: used,
        ...why("SwapFree"),
        rule: "SwapTotal - SwapFree of /proc/meminfo",
      },
      { name: "Priority", value: priority, rule: "there is no other area" },
    ],
  };
}

export function explainSlabinfo(_evidence: Evidence, text: string): Explanation {
  const rows = text.split("\n").filter((line) => line !== "" && !/^(?:slabinfo|#) ?/.test(line));
  const rule = "no kernel that is maintained counts slab objects by cgroup";
  return {
    path: "proc/slabinfo",
    summary: "the head without rows, readable by root alone as the host's",
    fields: [{ name: "rows", value: String(rows.length), rule }],
  };
}

export function explainPressure(evidence: Evidence, path: string, text: string): Explanation {
  const resource = path.slice(path.lastIndexOf("/") + 1) as PressureResource;
  const file = evidence.container.cgroups.pressureFile(resource);
  const rule =
    file === undefined
      ? "the host's: cgroups have no pressure files here"
      : `${resource}.pressure of ${cgroupOf(file)}, word for word`;
  const source = {
    rule,
    ...(file === undefined
      ? { file: `${evidence.procRoot}/pressure/${resource}` }
      : { file, level: 1 }),
  };
  const fields = text
    .trimEnd()
    .split("\n")
    .flatMap((line): Field[] => {
      const [kind = "", ...pairs] = line.split(" ");
      return pairs.map((pair) => {
        const [name = "", value = ""] = pair.split("=");
        return { name: `${kind} ${name}`, value, ...source };
      });
    });
  return { path, summary: "how long its threads waited for the resource", fields };
}
