/** A reporter of Node's test runner: one JSON line for each test, with the file that it is in. */

/** What a line says. A group is told only if it was skipped whole, or failed beside its tests. */
export interface TestLine {
  readonly file: string;
  readonly what: "passed" | "failed" | "skipped";
}

interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly file?: string;
    readonly skip?: unknown;
    readonly todo?: unknown;
    readonly details?: {
      readonly type?: string;
      readonly error?: { readonly failureType?: string };
    };
  };
}

export default async function* reporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of source) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    const what = outcome(type === "test:pass", data);
    if (what === undefined) continue;
    const line: TestLine = { file: data.file ?? "", what };
    yield `${JSON.stringify(line)}\n`;
  }
}

function outcome(passed: boolean, data: TestEvent["data"]): TestLine["what"] | undefined {
  if (data.skip !== undefined || data.todo !== undefined) return "skipped";
  if (data.details?.type !== "suite") return passed ? "passed" : "failed";
  // a hook that failed, for example; that tests in it failed is told by these
  const byTests = data.details.error?.failureType === "subtestsFailed";
  return passed || byTests ? undefined : "failed";
}
