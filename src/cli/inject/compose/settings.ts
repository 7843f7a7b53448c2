// The labels of a compose service that tell Weft how to inject it, in map and list form, with the command line's values behind them.

import { isMap, isSeq } from "yaml";
import type { Problem } from "../../../config/problem.ts";
import type { InjectOptions } from "../injection.ts";
import { INJECT_KEY, SETTING_PREFIX, settingMistake } from "../linkerd-settings.ts";
import { valueAt } from "../tree.ts";
import { textOf, type YamlSource } from "../yaml-source.ts";
import type { ComposeService } from "./compose-file.ts";

/** Label of a service that Weft made: which part it is, and of which service. */
export const PART_LABEL = "weft.dev/part";
export const SERVICE_LABEL = "weft.dev/service";
/** `true`: the service ends by itself, and its sidecar then ends with it; `false`: it does not, whoever waits for its end. */
export const JOB_LABEL = "weft.dev/job";

export interface ServiceSettings {
  /** `linkerd.io/inject`. */
  readonly isDisabled: boolean;
  /** The value of a setting by its name without `config.linkerd.io/`; null when nobody says. */
  get(name: string): string | null;
}

/** Reads the labels; adds what is wrong with them to `problems`, as warnings. */
export function readSettings(service: ComposeService, yaml: YamlSource, options: InjectOptions, problems: Problem[]): ServiceSettings {
  const values = new Map(options.defaults);
  let isDisabled = false;
  for (const { key, value, node } of labelsOf(service.effective)) {
    const place = hasPlace(node) ? node : service.pair.key;
    const warn = (message: string, hint: string | null): void => {
      problems.push(yaml.problemAt(place, "warning", `service "${service.name}": ${message}`, hint));
    };
    if (key === INJECT_KEY) {
      isDisabled = value === "disabled" || value === "false";
      if (value === "ingress") warn(`${INJECT_KEY}: ingress is the same as enabled`, null);
      else if (!isDisabled && value !== "enabled" && value !== "true")
        warn(`${INJECT_KEY} is ${JSON.stringify(value)}, taken for enabled`, "expected enabled or disabled");
    } else if (key.startsWith(SETTING_PREFIX)) {
      const name = key.slice(SETTING_PREFIX.length);
      const mistake = settingMistake(name, value);
      if (mistake === null) values.set(name, value);
      else warn(mistake.message, mistake.hint);
    }
  }
  return { isDisabled, get: (name) => values.get(name) ?? null };
}

/** What a label of a service says; null without it. */
export function labelOf(service: unknown, wanted: string): string | null {
  return labelsOf(service).find(({ key }) => key === wanted)?.value ?? null;
}

interface Label {
  readonly key: string;
  readonly value: string;
  readonly node: unknown;
}

/** `labels`, whether they are a map or a list of `key=value`. */
function labelsOf(service: unknown): Label[] {
  const labels = valueAt(service, "labels");
  if (isMap(labels)) return labels.items.map(({ key, value }) => ({ key: textOf(key) ?? "", value: textOf(value) ?? "", node: key }));
  if (!isSeq(labels)) return [];
  return labels.items.map((item) => {
    const text = textOf(item) ?? "";
    const at = text.indexOf("=");
    return { key: at < 0 ? text : text.slice(0, at), value: at < 0 ? "" : text.slice(at + 1), node: item };
  });
}

/** False for what comes from another file. */
function hasPlace(node: unknown): boolean {
  return (node as { range?: unknown }).range !== undefined && (node as { range?: unknown }).range !== null;
}
