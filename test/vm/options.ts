/** The options that the programs for use by hand have in common. */
import type { ParseArgsConfig } from "node:util";
import type { BootOptions } from "./boot.ts";
import { parseLayout } from "./layout.ts";
import type { Share } from "./qemu.ts";

export const machineFlags = {
  layout: { type: "string", default: "v2" },
  share: { type: "string", multiple: true, default: [] },
  cpus: { type: "string" },
  memory: { type: "string" },
  "no-swap": { type: "boolean", default: false },
  append: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const satisfies ParseArgsConfig["options"];

export const machineFlagsHelp = `  --layout v2|v1|hybrid   cgroup layout (default v2)
  --share DIR[:GUESTDIR][:ro]   a folder of this machine, at the same path unless GUESTDIR is given
  --cpus N, --memory MIB, --no-swap, --append KERNELARGUMENTS   other than 4, 2048, with swap: a slow boot
The built project is at /opt/lxcfs-ts in the guest.`;

interface Values {
  readonly layout: string;
  readonly share: readonly string[];
  readonly cpus?: string | undefined;
  readonly memory?: string | undefined;
  readonly "no-swap": boolean;
  readonly append?: string | undefined;
}

/** What the flags ask for. @throws RangeError naming the flag that cannot be understood */
export function machineOptions(values: Values): Omit<BootOptions, "images"> {
  return {
    layout: parseLayout(values.layout),
    shares: values.share.map(parseShare),
    ...(values.cpus === undefined ? {} : { cpus: wholeNumber("--cpus", values.cpus) }),
    ...(values.memory === undefined ? {} : { memoryMib: wholeNumber("--memory", values.memory) }),
    ...(values["no-swap"] ? { swap: false } : {}),
    ...(values.append === undefined ? {} : { moreKernelArguments: values.append }),
  };
}

/** Reads `DIR[:GUESTDIR][:ro]`. */
export function parseShare(text: string): Share {
  const readOnly = text.endsWith(":ro");
  const [hostPath = "", guestPath = hostPath] = (readOnly ? text.slice(0, -3) : text).split(":");
  if (!hostPath.startsWith("/") || !guestPath.startsWith("/")) {
    throw new RangeError(`Cannot share "${text}": folders must be absolute paths`);
  }
  return { hostPath, guestPath, readOnly, cache: "loose" };
}

function wholeNumber(flag: string, text: string): number {
  if (!/^[1-9][0-9]*$/.test(text)) {
    throw new RangeError(`Cannot take ${flag} ${text}: must be a whole number`);
  }
  return Number(text);
}
