import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_PLACE, OpenFiles, openFilesBytes, UNKNOWN_OWNER } from "./open_files.ts";

const SIZE = { places: 3, largePlaces: 1 };

function make(): { files: OpenFiles; again: () => OpenFiles } {
  const region = new SharedArrayBuffer(openFilesBytes(SIZE));
  return {
    files: new OpenFiles(region, 0, SIZE),
    again: () => new OpenFiles(region, 0, SIZE),
  };
}

function read(files: OpenFiles, handle: number, offset: number, size = 100_000): string | number {
  const target = Buffer.alloc(100_000);
  const count = files.read(handle, offset, size, target);
  return count < 0 ? count : target.toString("latin1", 0, count);
}

test("a kept text is served in slices, and ends where it ends", () => {
  const { files } = make();
  const handle = files.open(7);
  assert.equal(read(files, handle, 3), -1);
  files.keep(handle, Buffer.from("0123456789"));
  assert.equal(read(files, handle, 3, 2), "34");
  assert.equal(read(files, handle, 8), "89");
  assert.equal(read(files, handle, 10), "");
  assert.equal(read(files, handle, 4000), "");
});

test("another thread or process goes on with the same text", () => {
  const { files, again } = make();
  const handle = files.open(2 ** 42 + 5);
  files.keep(handle, Buffer.from("text"));
  assert.equal(read(again(), handle, 1), "ext");
  assert.equal(again().owner(handle), 2 ** 42 + 5);
});

test("a handle that was closed, or never given, is nobody's", () => {
  const { files } = make();
  const handle = files.open(1);
  files.keep(handle, Buffer.from("first"));
  files.close(handle);
  const next = files.open(2);
  files.keep(next, Buffer.from("second"));
  files.close(handle); // said twice: by a server, and by the one that took over its last request
  assert.notEqual(next, handle);
  assert.equal(files.owner(next), 2);
  assert.equal(files.owner(handle), undefined);
  assert.equal(read(files, handle, 0), -1);
  for (const odd of [NO_PLACE, -1, 4, 2 ** 50]) assert.equal(files.owner(odd), undefined);
});

test("when all places are taken there is none, and a closed one is found again", () => {
  const { files } = make();
  const handles = [files.open(0), files.open(0), files.open(0)];
  assert.equal(files.open(0), NO_PLACE);
  files.close(handles[1] ?? 0);
  assert.notEqual(files.open(0), NO_PLACE);
  assert.equal(files.count(), 3);
});

test("large texts have places of their own, which come back", () => {
  const { files } = make();
  const large = Buffer.alloc(50_000, "x");
  const [first, second] = [files.open(1), files.open(2)];
  files.keep(first, large);
  assert.equal(read(files, first, 49_998), "xx");
  files.keep(second, large);
  assert.equal(read(files, second, 1), -1, "no second large place: it is made afresh each time");
  files.keep(first, Buffer.from("small again"));
  files.keep(second, large);
  assert.equal(read(files, second, 49_999), "x");
  files.keep(second, Buffer.alloc(600_000));
  assert.equal(read(files, second, 1), -1, "larger than any place");
});

test("the last text of a file is found, also after it was closed, until its place is used again", () => {
  const { files, again } = make();
  const first = files.open(7);
  const second = files.open(7);
  files.keep(second, Buffer.from("older"), 42);
  files.keep(first, Buffer.from("newer"), 42);
  const other = files.open(8);
  files.keep(other, Buffer.from("another's"), 42);
  assert.equal(again().last(7, 42)?.toString(), "newer");
  assert.equal(files.last(7, 43), undefined);
  files.close(first);
  files.close(second);
  assert.equal(files.last(7, 42)?.toString(), "newer");
  files.open(9);
  assert.equal(files.last(7, 42)?.toString(), "older");
});

test("a file whose container is not known yet keeps its text all the same", () => {
  const { files } = make();
  const handle = files.open(UNKNOWN_OWNER);
  assert.equal(files.owner(handle), undefined);
  files.keep(handle, Buffer.from("9.72 19.09\n"));
  assert.equal(read(files, handle, 11), "");
});
