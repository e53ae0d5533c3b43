/**
 * The machine's hardware, as QEMU's command line.
 *
 * A saved state can only be restored into the same set of devices, therefore each of them is
 * always there: unused shares export an empty folder, the terminal ends nowhere.
 */
import { join } from "node:path";
import { kernelArguments, type Layout } from "./layout.ts";

/** A folder of the host as the guest sees it. */
export interface Share {
  readonly hostPath: string;
  readonly guestPath: string;
  readonly readOnly: boolean;
  /** 9p cache mode. "loose" is fast; "none" lets each side see at once what the other writes. */
  readonly cache: "loose" | "none";
}

/** How many shares a machine can have, beside the one by which it is controlled. */
export const MAX_SHARES = 4;

/** cold: boot. save: boot with memory and disk in files that are kept. restore: go on from such files. */
export type Start = "cold" | "save" | "restore";

export interface Hardware {
  readonly layout: Layout;
  readonly start: Start;
  /** Folder of build.sh's images. */
  readonly images: string;
  /** Folder of the saved state (save and restore). */
  readonly state: string;
  /** Folder of this run: sockets, console, the control share. */
  readonly run: string;
  readonly shares: readonly Share[];
  readonly cpus: number;
  readonly memoryMib: number;
  readonly swap: boolean;
  readonly moreKernelArguments: string;
  /** Whether the terminal's socket is listened on. */
  readonly terminal: boolean;
}

/** What every boot says: PSI on, and nothing that costs time in emulation and proves nothing here. */
const COMMON_KERNEL_ARGUMENTS =
  "console=ttyS0 quiet psi=1 mitigations=off norandmaps nokaslr init_on_alloc=0 " +
  "randomize_kstack_offset=off apparmor=0 audit=0 nowatchdog tsc=reliable no_timer_check " +
  "rcupdate.rcu_cpu_stall_suppress=1 systemd.show_status=0 panic=-1";

/** The arguments of qemu-system-x86_64. */
export function qemuArguments(hardware: Hardware): string[] {
  const { run, images } = hardware;
  const memory = memoryAndDisk(hardware);
  const terminal = hardware.terminal ? `socket,id=term,path=${join(run, "term")}` : "null,id=term";
  const kernelCommandLine = [
    COMMON_KERNEL_ARGUMENTS,
    kernelArguments[hardware.layout],
    hardware.moreKernelArguments,
  ].join(" ");
  const groups: string[][] = [
    ["-name", "lxcfs-ts-test", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ["-M", `pc,usb=off,vmport=off,hpet=off,smbus=off,graphics=off${memory.machine}`],
    ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "Nehalem", "-smp", String(hardware.cpus)],
    memory.arguments,
    ["-serial", `file:${join(run, "console.log")}`],
    ["-chardev", `socket,id=qmp,path=${join(run, "qmp")}`, "-mon", "chardev=qmp,mode=control"],
    ["-kernel", join(images, "vmlinux"), "-initrd", join(images, "initrd")],
    ["-append", kernelCommandLine],
    drive("root", memory.disk),
    hardware.swap ? drive("swap", `file=${join(images, "swap.raw")},format=raw,snapshot=on`) : [],
    ["-device", "virtio-serial-pci", "-device", "virtio-rng-pci"],
    ["-chardev", `socket,id=ctl,path=${join(run, "ctl.socket")}`],
    ["-device", "virtserialport,chardev=ctl,name=vm.ctl"],
    ["-chardev", terminal, "-device", "virtconsole,chardev=term"],
    share("ctl", join(run, "ctl"), false),
  ];
  for (let i = 0; i < MAX_SHARES; i++) {
    const wanted = hardware.shares[i];
    groups.push(
      share(`share${i}`, wanted?.hostPath ?? join(run, "empty"), wanted?.readOnly ?? true),
    );
  }
  return groups.flat();
}

function drive(id: string, backend: string): string[] {
  const node = `if=none,id=${id},cache=unsafe,${backend}`;
  return ["-drive", node, "-device", `virtio-blk-pci,drive=${id}`];
}

function share(tag: string, path: string, readOnly: boolean): string[] {
  const options = `security_model=passthrough,multidevs=remap${readOnly ? ",readonly=on" : ""}`;
  const device = `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`;
  return ["-fsdev", `local,id=${tag},path=${path},${options}`, "-device", device];
}

/** Memory lives in a file when it is to be kept, or taken up again without being written to. */
function memoryAndDisk(hardware: Hardware): { machine: string; arguments: string[]; disk: string } {
  const { state, start } = hardware;
  const size = `${hardware.memoryMib}M`;
  if (start === "cold") {
    const disk = `file=${join(hardware.images, "root.ext4")},format=raw,snapshot=on`;
    return { machine: "", arguments: ["-m", size], disk };
  }
  const backend = `memory-backend-file,id=ram,size=${size},mem-path=${join(state, "ram")}`;
  const saving = start === "save";
  return {
    machine: ",memory-backend=ram",
    arguments: ["-m", size, "-object", `${backend},share=${saving ? "on" : "off"}`].concat(
      saving ? [] : ["-incoming", "defer"],
    ),
    disk: `file=${join(state, "root.qcow2")},format=qcow2${saving ? "" : ",snapshot=on"}`,
  };
}
