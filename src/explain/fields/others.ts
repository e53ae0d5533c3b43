/** Where the shorter files come from: uptime, loadavg, swaps, diskstats, pressure. */
import type { PressureResource } from "../../cgroup/types.ts";
import type { Explanation, Field } from "../field.ts";
import { type Evidence, ownRule } from "./cgroup_rules.ts";
import { explainMeminfo } from "./meminfo.ts";

export function explainUptime({ container }: Evidence, text: string): Explanation {
  const [up = "", idle = ""] = text.trim().split(" ");
  const leader = container.leader();
  const byNamespace = (leader?.boottimeOffsetNs ?? 0) !== 0;
  const rule =
    leader === undefined
      ? "the host's: nobody was ever seen in this container"
      : byNamespace
        ? `boot time of the time namespace of process ${leader.pid}`
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
  if (evidence.settings?.loadavg === false) {
    const rule = "the host's: the server runs without load averages";
    return {
      path: "proc/loadavg",
      summary: rule,
      fields: [{ name: "loadavg", value: text.trim(), rule }],
    };
  }
  const threads = ownRule(
    evidence,
    "pids",
    ["cgroup.procs", "cgroup.procs"],
    "the container's threads, counted, of all below it",
  );
  const average = (name: string, value: string): Field => ({
    ...{ name, value },
    rule: "runnable and waiting threads, sampled every 5 s as the kernel does",
  });
  return {
    path: "proc/loadavg",
    summary: "the load of the container's own threads, sampled while it is read",
    fields: [
      average("1 min", one),
      average("5 min", five),
      average("15 min", fifteen),
      { name: "running/threads", value: counts, ...threads },
      { name: "last pid", value: last, rule: "the youngest pid in the container" },
    ],
  };
}

export function explainSwaps(evidence: Evidence, text: string): Explanation {
  const why = new Map(
    explainMeminfo(evidence, "SwapTotal: 0 kB\nSwapFree: 0 kB\n").fields.map((field) => [
      field.name,
      field,
    ]),
  );
  const total = why.get("SwapTotal");
  const [, row] = text.trimEnd().split("\n");
  const summary = "what the container may swap to, as one area";
  const reason = total?.rule ?? "the host's";
  const file = total?.file === undefined ? {} : { file: total.file };
  if (row === undefined) {
    return { path: "proc/swaps", summary, fields: [{ name: "areas", value: "0", rule: reason }] };
  }
  const [, , size = "", used = ""] = row.split(/\s+/);
  return {
    path: "proc/swaps",
    summary,
    fields: [
      { name: "Size", value: size, rule: reason, ...file },
      { name: "Used", value: used, rule: "SwapTotal - SwapFree of /proc/meminfo" },
    ],
  };
}

export function explainDiskstats(evidence: Evidence, text: string): Explanation {
  const why = ownRule(
    evidence,
    "blkio",
    ["blkio.throttle.io_service_bytes", "io.stat"],
    "operations and bytes of the container",
  );
  const fields = text
    .trimEnd()
    .split("\n")
    .filter(Boolean)
    .map((line): Field => {
      const [, , name = "", ...counters] = line.trim().split(/\s+/);
      return { name, value: counters.join(" "), ...why };
    });
  const none = { name: "devices", value: "0", ...why, rule: `none used so far: ${why.rule}` };
  return {
    path: "proc/diskstats",
    summary: "the devices that the container has used",
    fields: fields.length > 0 ? fields : [none],
  };
}

export function explainPressure(evidence: Evidence, path: string, text: string): Explanation {
  const resource = path.slice(path.lastIndexOf("/") + 1) as PressureResource;
  const file = evidence.container.cgroups.pressureFile(resource);
  const rule =
    file === undefined
      ? "the host's: this kernel has no pressure files for cgroups here"
      : "the cgroup's own file, word for word";
  const fields = text
    .trimEnd()
    .split("\n")
    .map((line): Field => {
      const [name = ""] = line.split(" ", 1);
      const value = line.slice(name.length).trim();
      return { name, value, rule, file: file ?? `${evidence.procRoot}/pressure/${resource}` };
    });
  return { path, summary: "how long its threads waited for the resource", fields };
}
