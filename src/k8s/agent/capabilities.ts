/**
 * What of a privileged container's capabilities the agent keeps. Kubernetes grants Bidirectional mount
 * propagation to privileged containers only, and runtimes do not heed what such a container drops, so
 * the agent drops it itself. Nothing of the network, of modules, devices, clocks or the kernel's log.
 */
import type { Capability } from "../../sys/capabilities.ts";

export const AGENT_CAPABILITIES: readonly Capability[] = [
  // Its own: mounts, other processes' namespaces and roots, other users' files.
  ...(["SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE", "DAC_OVERRIDE", "DAC_READ_SEARCH"] as const),
  // For the server to give up what it does not need, and to be the last that is killed for memory.
  ...(["SETPCAP", "SYS_RESOURCE"] as const),
  // The server's, with --enable-cgroup.
  ...(["CHOWN", "FOWNER", "SETGID", "SETUID"] as const),
];
