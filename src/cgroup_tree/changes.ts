/** chmod, chown, truncate and utimes. */
import { fchmodSync, fchownSync } from "node:fs";
import type { Operations, SetattrRequest } from "../fuse/operations.ts";
import { FATTR } from "../fuse/wire/abi.ts";
import { errno } from "../sys/errno.ts";
import { changeModeAt, changeOwnerAt } from "../sys/native.ts";
import { bytesOf } from "./bytes.ts";
import { answer, type Seen, type TreeContext } from "./context.ts";
import { attributesOfSeen, statIn } from "./entries.ts";
import {
  actorFor,
  CAPABILITY,
  type Identity,
  itself,
  mayGiveAway,
  type Owner,
  UNCHANGED,
} from "./identity.ts";

const PERMISSIONS = 0o7777;
const OWNERSHIP = FATTR.UID | FATTR.GID;

export function changeOperations(context: TreeContext): Required<Pick<Operations, "setattr">> {
  const { cgroups, changes } = context;
  return {
    setattr(request, reply) {
      return answer(() => {
        const { valid } = request;
        if (changes.isRaiser(request.pid) && (valid & (FATTR.MODE | OWNERSHIP)) === 0) {
          const node = context.nodeOf(request);
          return node === undefined
            ? -errno.ENOENT
            : reply.attributes(attributesOfSeen(context, node), 0);
        }
        const seen = context.see(request);
        if (seen === undefined) return -errno.ENOENT;
        if (seen.standing.is === "ancestor") return -errno.EPERM;
        if ((valid & (FATTR.MODE | OWNERSHIP)) !== 0) {
          if (seen.file !== undefined && context.isProtected(seen, seen.file)) return -errno.EPERM;
          const identity = context.identityOf(seen, request);
          cgroups.withDirectory(seen.mounted, seen.id, (fd) => {
            const owner = statIn(fd, seen);
            if ((valid & OWNERSHIP) !== 0) changeOwner(context, request, seen, identity, fd, owner);
            if ((valid & FATTR.MODE) !== 0) {
              changeMode(context, seen, identity, fd, owner, request.mode & PERMISSIONS);
            }
          });
        }
        // A length and times are taken, and mean nothing: as with the kernel's own files.
        return reply.attributes(attributesOfSeen(context, seen), 0);
      });
    },
  };
}

function changeOwner(
  { acting }: TreeContext,
  request: SetattrRequest,
  seen: Seen,
  identity: Identity,
  fd: number,
  owner: Owner,
): void {
  const uid = (request.valid & FATTR.UID) === 0 ? UNCHANGED : request.ownerUid;
  const gid = (request.valid & FATTR.GID) === 0 ? UNCHANGED : request.ownerGid;
  const change = (): void => {
    if (seen.file !== undefined) {
      changeOwnerAt(fd, bytesOf(seen.file), uid, gid);
      return;
    }
    fchownSync(fd, uid, gid);
    if (seen.mounted.hierarchy.version === 2) return;
    // As LXCFS does: who is given a cgroup is to move processes in it.
    for (const name of ["tasks", "cgroup.procs"]) changeOwnerAt(fd, bytesOf(name), uid, gid);
  };
  if (mayGiveAway(identity, owner, uid, gid)) change();
  else acting.as(itself(identity), change);
}

function changeMode(
  { acting }: TreeContext,
  seen: Seen,
  identity: Identity,
  fd: number,
  owner: Owner,
  mode: number,
): void {
  acting.as(actorFor(identity, owner, CAPABILITY.FOWNER), () => {
    if (seen.file === undefined) fchmodSync(fd, mode);
    else changeModeAt(fd, bytesOf(seen.file), mode);
  });
}
