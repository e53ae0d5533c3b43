/**
 * What a thread does when its process may open no further file (EMFILE), or the machine (ENFILE): it
 * gives back what it can do without, and opens again. That happens where files are opened, so that
 * nobody above takes a file that could not be opened for one that is not there.
 */
import { errno, errnoOf } from "./errno.ts";

/** Gives back some descriptors. @returns false if there are none left to give */
type Giver = () => boolean;

const givers: Giver[] = [];

/** Tells of descriptors that this thread can do without; those told of last are asked last. */
export function canGive(giver: Giver): void {
  givers.push(giver);
}

let tell: (() => void) | undefined;

/** Has `told` called each time something has to be given back. */
export function onShortage(told: () => void): void {
  tell = told;
}

/** Has one of them give back. @returns false if nobody has anything left */
export function giveBack(): boolean {
  tell?.();
  return givers.some((giver) => giver());
}

/** Whether an errno says that descriptors are used up: that tells nothing about the file. */
export function isExhaustion(code: number): boolean {
  return code === errno.EMFILE || code === errno.ENFILE;
}

/** Runs `open` until there is a descriptor for it. @throws what it throws, once nothing is left to give */
export function opening<T>(open: () => T): T {
  for (;;) {
    try {
      return open();
    } catch (error) {
      if (!isExhaustion(errnoOf(error)) || !giveBack()) throw error;
    }
  }
}
