/**
 * Opening as a caller may: the kernel's decision, asked with the caller's own credentials
 * (identity.ts).
 */
import { openEntry } from "../sys/native.ts";
import { bytesOf } from "./bytes.ts";
import { type Seen, type TreeContext } from "./context.ts";
import { statEntry } from "./entries.ts";
import { actorFor, type Identity } from "./identity.ts";

const SELF = Buffer.from(".");

/** Opens what is meant, file or directory. @throws SystemError where the caller may not */
export function openAs(
  { cgroups, acting }: TreeContext,
  seen: Seen,
  identity: Identity,
  flags: number,
): number {
  const name = seen.file === undefined ? SELF : bytesOf(seen.file);
  return cgroups.withDirectory(seen.mounted, seen.id, (directoryFd) => {
    const owner = statEntry(directoryFd, name);
    return acting.as(actorFor(identity, owner), () => openEntry(directoryFd, name, flags));
  });
}
