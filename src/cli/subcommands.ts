/**
 * The subcommands: one line each. A module is loaded only when its command is given, so that a
 * mount starts without them. To add one, write a module that exports `run` and name it here.
 */

import {
  ALL,
  CONTAINER,
  DRY_RUN,
  EVERY,
  INTERVAL,
  JSON_OUTPUT,
  MOUNTPOINT,
  NO_COLOR,
  PID,
  REMOVE,
  RUNTIME_DIR,
  type CommandOption,
  TIMEOUT,
  WATCH,
} from "./command_options.ts";

/** A subcommand's module. `args` are those after its name. @returns the exit code */
export interface SubcommandModule {
  run(args: readonly string[]): number | Promise<number>;
}

export interface Subcommand {
  readonly name: string;
  /** Arguments, as the help shows them. */
  readonly usage: string;
  readonly help: string;
  /** What it takes, for help and completion; `undefined`: it answers --help itself. */
  readonly options?: readonly CommandOption[];
  /** Not shown in the help: called by the program itself. */
  readonly internal?: boolean;
  readonly load: () => Promise<SubcommandModule>;
}

export const SUBCOMMANDS: readonly Subcommand[] = [
  {
    name: "status",
    usage: "[MOUNTPOINT] [--json]",
    help: "what a running lxcfs serves, and how it fares",
    options: [JSON_OUTPUT, RUNTIME_DIR],
    load: () => import("./status.ts"),
  },
  {
    name: "upgrade",
    usage: "[MOUNTPOINT]",
    help: "let the installed version take over from the running one",
    options: [RUNTIME_DIR],
    load: () => import("./upgrade.ts"),
  },
  {
    name: "attach",
    usage: "PID|CONTAINER...|--all [--dry-run]",
    help: "show running containers their own files, without their help",
    options: [ALL, DRY_RUN, JSON_OUTPUT, MOUNTPOINT, TIMEOUT],
    load: () => import("./attach.ts"),
  },
  {
    name: "detach",
    usage: "PID|CONTAINER...|--all [--dry-run]",
    help: "give them the kernel's own files back",
    options: [ALL, DRY_RUN, JSON_OUTPUT, MOUNTPOINT, TIMEOUT],
    load: () => import("./detach.ts"),
  },
  {
    name: "heal",
    usage: "[--watch] [--remove] [--dry-run]",
    help: "replace dead lxcfs mounts in all containers",
    options: [WATCH, EVERY, REMOVE, DRY_RUN, JSON_OUTPUT, MOUNTPOINT, TIMEOUT],
    load: () => import("./heal.ts"),
  },
  {
    name: "cpu-policy",
    usage: "PID|CONTAINER... [cpuset|quota|none|cpus=N|default]",
    help: "what bounds the CPUs that a container is shown",
    options: [],
    load: () => import("./cpu_policy.ts"),
  },
  {
    name: "ps",
    usage: "[--json]",
    help: "containers, their limits, and how they have their files",
    options: [JSON_OUTPUT, MOUNTPOINT, RUNTIME_DIR],
    load: () => import("./ps.ts"),
  },
  {
    name: "top",
    usage: "[--interval SECONDS] [--no-color]",
    help: "the same, live, with what they use",
    options: [INTERVAL, NO_COLOR, MOUNTPOINT, RUNTIME_DIR],
    load: () => import("./top.ts"),
  },
  {
    name: "show",
    usage: "FILE --pid PID|--container NAME",
    help: "what a process reads in a file, from outside",
    options: [PID, CONTAINER, JSON_OUTPUT, MOUNTPOINT, RUNTIME_DIR],
    load: () => import("./show.ts"),
  },
  {
    name: "explain",
    usage: "FILE --pid PID|--container NAME [--json]",
    help: "each field of a file, and where it comes from",
    options: [PID, CONTAINER, JSON_OUTPUT, MOUNTPOINT, RUNTIME_DIR],
    load: () => import("./explain.ts"),
  },
  {
    name: "doctor",
    usage: "[--json]",
    help: "what is wrong on this host, and how to mend it",
    options: [JSON_OUTPUT, MOUNTPOINT, RUNTIME_DIR],
    load: () => import("./doctor.ts"),
  },
  {
    name: "oci-hook",
    usage: "[--mountpoint DIR]",
    help: "attach to the container whose OCI state is on stdin",
    options: [MOUNTPOINT],
    load: () => import("./oci_hook.ts"),
  },
  {
    name: "webhook",
    usage: "[OPTION]... (see webhook --help)",
    help: "the Kubernetes admission webhook",
    load: () => import("./webhook.ts"),
  },
  {
    name: "node-agent",
    usage: "[OPTION]... (see node-agent --help)",
    help: "serve on a Kubernetes node, attach to its containers",
    load: () => import("./node_agent.ts"),
  },
  {
    name: "nri",
    usage: "[--socket PATH] [--mountpoint DIR]",
    help: "attach to containers as the runtime tells of them",
    load: () => import("./nri.ts"),
  },
  {
    name: "serve",
    usage: "ROLE",
    help: "the server process, started by the holder",
    internal: true,
    load: () => import("./serve.ts"),
  },
  {
    name: "hold",
    usage: "",
    help: "the holder process, started by a server that lost its own",
    internal: true,
    load: () => import("./hold.ts"),
  },
  {
    name: "raise-events",
    usage: "MOUNTPOINT",
    help: "raises events on files of the cgroup tree, started by the server",
    internal: true,
    load: () => import("./raise_events.ts"),
  },
];
