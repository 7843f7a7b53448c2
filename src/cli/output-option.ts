// The option `-o`: the same for every command that can answer for programs.

import { Option } from "commander";

export function outputOption(): Option {
  return new Option("-o, --output <format>", "how to print").choices(["text", "json"]).default("text");
}
