/**
 * What every system call that takes a path must answer, exactly. Two answers where it depends on the
 * caller: root of the host's user namespace / everybody else, root of another user namespace included,
 * to whom the directories above a container do not belong.
 */
import assert from "node:assert/strict";
import { MAKING, PATH_CALLS, type PathCall } from "./probe.ts";

/** Columns: a name in an ancestor that is not the next step, be it there or not; the ancestor itself. */
const TABLE = `
open-read        ENOENT         ok
open-write       ENOENT         EISDIR
open-both        ENOENT         EISDIR
open-truncate    ENOENT         EISDIR
open-append      ENOENT         EISDIR
open-create      EACCES         EISDIR
open-exclusive   EACCES         EEXIST
open-directory   ENOENT         ok
open-path        ENOENT         ok
open-nofollow    ENOENT         ok
open-tmpfile     ENOENT         ENOTSUP/EACCES
read             ENOENT         EISDIR
write            ENOENT         EISDIR
stat             ENOENT         ok
lstat            ENOENT         ok
statx            ENOENT         ok
access           ENOENT         ok
access-read      ENOENT         ok
access-write     ENOENT         ok/EACCES
access-execute   ENOENT         ok
chmod            ENOENT         EPERM
chown            ENOENT         EPERM
lchown           ENOENT         EPERM
truncate         ENOENT         EISDIR
mkdir            EPERM/EACCES   EEXIST
rmdir            ENOENT         EPERM/EACCES
rename           ENOENT         EPERM/EACCES
rename-onto      ENOENT         ENOENT
link             ENOENT         EPERM
symlink          EPERM/EACCES   EEXIST
unlink           ENOENT         EISDIR/EACCES
mknod            EPERM/EACCES   EEXIST
mkfifo           EPERM/EACCES   EEXIST
utimes           ENOENT         EPERM/EACCES
setxattr         ENOENT         ENOTSUP/EACCES
getxattr         ENOENT         ENOTSUP
listxattr        ENOENT         ENOTSUP
removexattr      ENOENT         ENOTSUP/EACCES
inotify          ENOENT         ok
readlink         ENOENT         EINVAL
statfs           ENOENT         ok
exec             ENOENT         EACCES
chdir            ENOENT         ok
handle           ENOENT         ok
`;

interface Row {
  readonly absent: string;
  readonly ancestor: string | undefined;
}

const ROWS: ReadonlyMap<string, Row> = new Map(
  TABLE.trim()
    .split("\n")
    .map((line) => {
      const [call = "", absent = "", ancestor = ""] = line.split(/ +/);
      return [call, { absent, ancestor }];
    }),
);

/** Whose answers: of root of the host's user namespace, or of anybody else. */
export type Power = "host root" | "other";

/** A name that an ancestor does not have, for this caller. */
export function absent(call: PathCall, power: Power): string {
  return choose(ROWS.get(call)?.absent ?? "ENOENT", power);
}

/** Anything in what does not exist, and what has gone. */
export function inAbsent(): string {
  return "ENOENT";
}

/** An ancestor itself; `undefined`: not tried, since it would succeed and be in the next call's way. */
export function ancestor(call: PathCall, power: Power): string | undefined {
  const row = ROWS.get(call);
  return row?.ancestor === undefined ? undefined : choose(row.ancestor, power);
}

function choose(answers: string, power: Power): string {
  const [hostRoot = "", other = hostRoot] = answers.split("/");
  return power === "host root" ? hostRoot : other;
}

/** Compares call by call, so that a failure names the call. */
export function assertAnswers(
  found: readonly string[],
  calls: readonly PathCall[],
  expected: (call: PathCall) => string | undefined,
  what: string,
): void {
  assert.equal(found.length, calls.length, what);
  for (const [index, call] of calls.entries()) {
    assert.equal(found[index], expected(call), `${what}: ${call}`);
  }
}

/** Calls on what is there already: none that would make it. */
export const CALLS_NOT_MAKING: readonly PathCall[] = PATH_CALLS.filter((call) => !MAKING.has(call));
/** Calls that leave an ancestor as it is. */
export const CALLS_ON_ANCESTOR: readonly PathCall[] = PATH_CALLS.filter((call) => ROWS.has(call));
