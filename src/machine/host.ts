/** The host's own machine: where what is not the container's comes from, and the bound of what is. */
import { CgroupStats } from "../cgroup/v1/cgroup_stats.ts";
import { parseCpuList } from "../host/cpu_list.ts";
import { parseCpuinfo, type Cpuinfo } from "../host/cpuinfo.ts";
import { HostFiles, ParsedFile } from "../host/host_files.ts";
import type { KeyedNumbers } from "../host/keyed_numbers.ts";
import type { Meminfo } from "../host/meminfo.ts";
import { readPageBytes } from "../host/page_size.ts";
import { PER_LINUX32 } from "../host/personality.ts";
import type { ProcStat } from "../host/stat.ts";
import { setPersonality } from "../sys/native.ts";
import { readFile, tryReadFile } from "../sys/read.ts";
import type { HostMemory } from "./memory.ts";

export class Host {
  readonly procRoot: string;
  readonly sysRoot: string;
  readonly pageBytes: number;
  /** The kernel's counts of a cgroup's threads by state; of a captured machine there are none. */
  readonly cgroupStats: CgroupStats | undefined;
  readonly #files: HostFiles;
  readonly #online: ParsedFile<number[]>;

  constructor(procRoot = "/proc", sysRoot = "/sys") {
    this.procRoot = procRoot;
    this.sysRoot = sysRoot;
    this.cgroupStats = procRoot === "/proc" ? new CgroupStats() : undefined;
    this.pageBytes = readPageBytes("/proc");
    this.#files = new HostFiles(procRoot);
    this.#online = new ParsedFile(`${sysRoot}/devices/system/cpu/online`, (text) =>
      parseCpuList(text),
    );
  }

  /** @throws ParseError */
  meminfo(): Meminfo {
    return this.#files.meminfo.read();
  }

  /**
   * The host's memory by field, in bytes.
   * @param meminfo what was read already
   * @throws ParseError
   */
  memory(meminfo: Meminfo = this.meminfo()): HostMemory {
    return (field) => {
      const kib = meminfo.get(field);
      return kib === undefined ? undefined : kib * 1024;
    };
  }

  /** @throws ParseError */
  stat(): ProcStat {
    return this.#files.stat.read();
  }

  /** @throws ParseError */
  cpuinfo(): Cpuinfo {
    return this.#files.cpuinfo.read();
  }

  /**
   * cpuinfo as the kernel shows it to 32-bit processes (arm64: the features of a 32-bit CPU). The
   * kernel looks at who reads, so this thread takes their personality for the time of one read.
   * @throws ParseError
   */
  cpuinfo32(): Cpuinfo {
    return parseCpuinfo(this.cpuinfo32Text());
  }

  cpuinfo32Text(): string {
    const own = setPersonality(PER_LINUX32);
    try {
      return readFile(`${this.procRoot}/cpuinfo`);
    } finally {
      setPersonality(own);
    }
  }

  /** @throws ParseError */
  vmstat(): KeyedNumbers {
    return this.#files.vmstat.read();
  }

  /** Numbers of the CPUs that are online, ascending. @throws ParseError */
  onlineCpus(): readonly number[] {
    return this.#online.read();
  }

  /** Size of a huge page as the kernel makes them by itself; 2 MiB where it has none. */
  get hugePageBytes(): number {
    return (this.meminfo().get("Hugepagesize") ?? 2048) * 1024;
  }

  /** A file below `/proc`, word for word. @param name a constant, such as `diskstats` */
  procText(name: string): string | undefined {
    return this.#files.text(name);
  }

  /** A file below `/sys`, word for word. */
  sysText(name: string): string | undefined {
    return tryReadFile(`${this.sysRoot}/${name}`);
  }

  close(): void {
    this.#files.close();
    this.#online.close();
    this.cgroupStats?.close();
  }
}
