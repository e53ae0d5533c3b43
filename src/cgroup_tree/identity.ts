/**
 * What the kernel lets a thread do, from `/proc/<tid>/status` and the id maps of its user namespace
 * (user_namespaces(7)), and with which credentials the server acts in its place.
 *
 *     Uid:	100000	100000	100000	100000
 *     Gid:	100000	100000	100000	100000
 *     Groups:	100000
 *     NSpid:	6541	17
 *     CapEff:	000001ffffffffff
 *
 * All ids are the host's. Capabilities are relative to the thread's own user namespace.
 */
import { statusField, statusNumber } from "../host/proc_status.ts";
import { readFile } from "../sys/read.ts";

/** One line of uid_map: `count` ids from `inside` on are the host's from `outside` on. */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

export interface Identity {
  /** The process, where the thread is not its first. */
  readonly tgid: number;
  readonly effectiveUid: number;
  readonly effectiveGid: number;
  readonly filesystemUid: number;
  readonly filesystemGid: number;
  readonly groups: readonly number[];
  /** Effective capabilities, bit n for the one of number n. */
  readonly capabilities: bigint;
  /** Whether these are good against the host; otherwise only against ids that are mapped. */
  readonly ofHost: boolean;
  readonly uidMap: readonly IdRange[];
  readonly gidMap: readonly IdRange[];
}

/** With which credentials a thread of the server does a piece of work. */
export interface Actor {
  readonly effectiveUid: number;
  readonly effectiveGid: number;
  readonly filesystemUid: number;
  readonly filesystemGid: number;
  readonly groups: readonly number[];
  readonly capabilities: bigint;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Numbers of linux/capability.h. */
export const CAPABILITY = { CHOWN: 0, DAC_OVERRIDE: 1, FOWNER: 3 } as const;

/** An id of setattr that is not to be changed. */
export const UNCHANGED = 0xffffffff;

/**
 * @param ofHost whether the thread's user namespace is the server's own
 * @throws on a missing thread
 */
export function readIdentity(procRoot: string, tid: number, ofHost: boolean): Identity {
  const status = readFile(`${procRoot}/${tid}/status`);
  return parseIdentity(
    status,
    ofHost,
    ofHost ? "" : readFile(`${procRoot}/${tid}/uid_map`),
    ofHost ? "" : readFile(`${procRoot}/${tid}/gid_map`),
  );
}

/** What is missing from the status is taken as the least: nobody's ids, no capability. */
export function parseIdentity(
  status: string,
  ofHost: boolean,
  uidMap: string,
  gidMap: string,
): Identity {
  const NOBODY = 65534;
  const [, effectiveUid = NOBODY, , filesystemUid = NOBODY] = numbers(statusField(status, "Uid"));
  const [, effectiveGid = NOBODY, , filesystemGid = NOBODY] = numbers(statusField(status, "Gid"));
  const capabilities = /^[0-9a-f]{1,16}$/.exec(statusField(status, "CapEff") ?? "")?.[0] ?? "0";
  return {
    tgid: statusNumber(status, "Tgid") ?? 0,
    effectiveUid,
    effectiveGid,
    filesystemUid,
    filesystemGid,
    groups: numbers(statusField(status, "Groups")),
    capabilities: BigInt(`0x${capabilities}`),
    ofHost,
    uidMap: parseIdMap(uidMap),
    gidMap: parseIdMap(gidMap),
  };
}

export function parseIdMap(text: string): IdRange[] {
  return text
    .split("\n")
    .map((line) => numbers(line))
    .filter((fields) => fields.length === 3)
    .map(([inside = 0, outside = 0, count = 0]) => ({ inside, outside, count }));
}

function numbers(text: string | undefined): number[] {
  return (text ?? "")
    .trim()
    .split(/\s+/)
    .filter((word) => /^\d+$/.test(word))
    .map(Number);
}

function isMapped(map: readonly IdRange[], id: number): boolean {
  return map.some(({ outside, count }) => id >= outside && id - outside < count);
}

function has(identity: Identity, capability: number): boolean {
  return (identity.capabilities >> BigInt(capability)) % 2n === 1n;
}

/** Whether a capability is good against an inode (the kernel's capable_wrt_inode_uidgid). */
function hasOver(identity: Identity, capability: number, owner: Owner): boolean {
  if (!has(identity, capability)) return false;
  if (identity.ofHost) return true;
  return isMapped(identity.uidMap, owner.uid) && isMapped(identity.gidMap, owner.gid);
}

/** The thread itself. Of another user namespace, its capabilities are none on the host. */
export function itself(identity: Identity): Actor {
  const { effectiveUid, effectiveGid, filesystemUid, filesystemGid, groups } = identity;
  const capabilities = identity.ofHost ? identity.capabilities : 0n;
  return { effectiveUid, effectiveGid, filesystemUid, filesystemGid, groups, capabilities };
}

/**
 * Who opens, changes the mode of, makes or removes something that is `owner`'s (`capability`: the one
 * with which the kernel would let others than the owner do it). Where the thread has that capability
 * in its own user namespace and the owner is mapped there, it is done as the owner; what is not a
 * matter of files (moving processes) goes on being decided by the thread's own effective ids.
 */
export function actorFor(
  identity: Identity,
  owner: Owner,
  capability: number = CAPABILITY.DAC_OVERRIDE,
): Actor {
  const self = itself(identity);
  if (identity.ofHost || !hasOver(identity, capability, owner)) return self;
  return { ...self, filesystemUid: owner.uid, filesystemGid: owner.gid };
}

/**
 * Whether a change of owner is the server's to make: the thread may do it by CAP_CHOWN in its own
 * user namespace, over an owner and to an owner that are mapped there. Otherwise it is left to the
 * kernel's own rules for the thread.
 */
export function mayGiveAway(identity: Identity, owner: Owner, uid: number, gid: number): boolean {
  if (identity.ofHost || !hasOver(identity, CAPABILITY.CHOWN, owner)) return false;
  if (uid !== UNCHANGED && !isMapped(identity.uidMap, uid)) return false;
  return gid === UNCHANGED || isMapped(identity.gidMap, gid);
}
