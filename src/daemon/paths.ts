/** Names of the files that a mount keeps in the runtime directory. */
import { basename, join } from "node:path";

/** Directory of the control sockets. */
export function controlDirectory(runtimeDir: string): string {
  return join(runtimeDir, "lxcfs");
}

/**
 * Control socket of the mount at `mountpoint`. A socket address holds 107 bytes and a mountpoint may
 * have 4095, so the name is its last part, for people, and a hash of the whole, for uniqueness.
 */
export function controlSocketPath(runtimeDir: string, mountpoint: string): string {
  const label =
    basename(mountpoint)
      .replaceAll(/[^\w.-]/g, "_")
      .slice(0, 24) || "root";
  return join(controlDirectory(runtimeDir), `${label}-${fnv1a(mountpoint)}.sock`);
}

/**
 * Where the second connection of a mount is mounted. Not below its mountpoint, which anybody must be
 * able to unmount by hand.
 */
export function cachedMountpoint(controlSocket: string): string {
  return controlSocket.replace(/\.sock$/, ".cached");
}

/** What the second connection's mount is known by in mountinfo. */
export function cachedSource(mountpoint: string): string {
  return `cached:${mountpoint}`;
}

/** FNV-1a, 32 bits, in hexadecimal: short, stable, and needs no crypto module at start. */
function fnv1a(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
