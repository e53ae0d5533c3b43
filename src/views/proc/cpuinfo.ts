/**
 * /proc/cpuinfo: the host's text of each CPU that the container has, numbered from 0, with the
 * counts of CPUs made to agree with what is shown.
 */
import { cpuinfoField, withCpuinfoField, type CpuBlock, type Cpuinfo } from "../../host/cpuinfo.ts";
import type { Topology } from "../../machine/topology.ts";
import type { View } from "../view.ts";

export const cpuinfo: View = {
  path: "proc/cpuinfo",
  local: 38,
  mode: 0o444,
  render(machine) {
    return textOf(machine.host.cpuinfo(), machine.topology());
  },
};

/** The same for 32-bit processes: a file of its own by number, without a name in the tree. */
export const cpuinfo32: View = {
  path: "proc/cpuinfo",
  local: 45,
  mode: 0o444,
  render(machine) {
    return textOf(machine.host.cpuinfo32(), machine.topology());
  },
  renderHost(host) {
    return host.cpuinfo32Text();
  },
};

function textOf(host: Cpuinfo, topology: Topology): string | undefined {
  const blocks = pick(host.blocks, topology);
  if (blocks.length === 0) return undefined;
  const packages = countByPackage(blocks);
  let text = withCpuinfoField(host.header, "# processors", blocks.length);
  for (const [number, block] of blocks.entries()) {
    text += block.before + number + withCounts(block.after, packages);
  }
  text += host.between;
  for (const [number, block] of pick(host.details, topology).entries()) {
    text += block.before + number + block.after;
  }
  return text + host.trailer;
}

function pick(blocks: readonly CpuBlock[], topology: Topology): CpuBlock[] {
  const byNumber = new Map(blocks.map((block) => [block.processor, block]));
  const picked: CpuBlock[] = [];
  for (const cpu of topology.hostCpus) {
    const block = byNumber.get(cpu);
    if (block !== undefined) picked.push(block);
  }
  return picked;
}

interface PackageCounts {
  cpus: number;
  readonly cores: Set<string>;
}

/** How many CPUs and cores of each package the container has. */
function countByPackage(blocks: readonly CpuBlock[]): Map<string, PackageCounts> {
  const packages = new Map<string, PackageCounts>();
  for (const block of blocks) {
    const id = cpuinfoField(block.after, "physical id");
    if (id === undefined) continue;
    const counts = packages.get(id) ?? { cpus: 0, cores: new Set<string>() };
    counts.cpus++;
    counts.cores.add(cpuinfoField(block.after, "core id") ?? "");
    packages.set(id, counts);
  }
  return packages;
}

/** x86 counts a package's CPUs and cores in each block: those of the container are meant. */
function withCounts(after: string, packages: ReadonlyMap<string, PackageCounts>): string {
  const counts = packages.get(cpuinfoField(after, "physical id") ?? "");
  if (counts === undefined) return after;
  return withCpuinfoField(
    withCpuinfoField(after, "siblings", counts.cpus),
    "cpu cores",
    counts.cores.size,
  );
}
