/** The settings file of webhook and agent: JSON, written by the chart into a ConfigMap. */
import { readFileSync } from "node:fs";
import { SERVED_FILES } from "../names.ts";
import type { InjectionSettings, NamespaceLabel } from "./selection.ts";
import { DEFAULT_SETTINGS } from "./selection.ts";

/** Reads the settings file. @throws with the file's name and what is wrong with it */
export function readSettings(path: string): InjectionSettings {
  try {
    return parseSettings(readFileSync(path, "utf8"));
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot read settings of "${path}": ${found}`, { cause: error });
  }
}

/** Settings from JSON text; what is not named keeps its default, what is not known is refused. */
export function parseSettings(text: string): InjectionSettings {
  const given: unknown = JSON.parse(text);
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new TypeError("expected an object");
  const settings = { ...DEFAULT_SETTINGS };
  for (const [key, value] of Object.entries(given)) {
    switch (key) {
      case "mountPath":
        if (typeof value !== "string" || !/^\/.*[^/]$/.test(value)) throw wrong(key, value);
        settings.mountPath = value;
        break;
      case "files":
        settings.files = stringList(key, value);
        break;
      case "skipNamespaces":
        settings.skipNamespaces = stringList(key, value);
        break;
      case "skipRuntimeClasses":
        settings.skipRuntimeClasses = stringList(key, value);
        break;
      case "userNamespaces":
      case "podOptIn":
        if (typeof value !== "boolean") throw wrong(key, value);
        settings[key] = value;
        break;
      case "namespaceLabels":
        if (!Array.isArray(value) || !value.every(isNamespaceLabel)) throw wrong(key, value);
        settings.namespaceLabels = value;
        break;
      default:
        throw new RangeError(`unknown setting "${key}"`);
    }
  }
  const unknown = settings.files.find((file) => !SERVED_FILES.has(file));
  if (unknown !== undefined)
    throw new RangeError(
      `"files" names "${unknown}": expected some of ${[...SERVED_FILES.keys()].join(", ")}`,
    );
  return settings;
}

function isNamespaceLabel(value: unknown): value is NamespaceLabel {
  return (
    typeof value === "object" &&
    value !== null &&
    ["name", "key", "value"].every(
      (key) => typeof (value as Record<string, unknown>)[key] === "string",
    )
  );
}

function stringList(key: string, value: unknown): string[] {
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string"))
    throw wrong(key, value);
  return value;
}

function wrong(key: string, value: unknown): TypeError {
  return new TypeError(`"${key}" is ${JSON.stringify(value)}`);
}
