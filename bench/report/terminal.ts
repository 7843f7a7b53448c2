// The report on the terminal: the tables to decide by. Pictures, details and command lines are in the HTML page and the markdown.

import type { ReportDocument, Section } from "./document.ts";
import { plainTable } from "./table.ts";

const MARKS = { plain: "note", warn: "CAREFUL", fail: "DOES NOT COUNT" } as const;

function remarkLine(block: Section["blocks"][number]): string {
  return block.kind === "remark" ? `${MARKS[block.state]}: ${block.text}` : "";
}

function sectionText(section: Section): string {
  const parts: string[] = [];
  const remarks = section.blocks.filter((block) => block.kind === "remark" && section.id !== "setup");
  for (const block of section.blocks) {
    if (block.kind === "table" && !block.isDetail) parts.push(plainTable(block));
    // Remarks stand together, where the first of them is.
    else if (block === remarks[0]) parts.push(remarks.map(remarkLine).join("\n"));
  }
  if (parts.length === 0) return "";
  const head = section.text === null ? section.title : `${section.title}: ${section.text}`;
  return [head, "=".repeat(Math.min(head.length, 100)), ...parts].join("\n\n").replace("\n\n=", "\n=");
}

export function terminalReport(document: ReportDocument): string {
  // Bars last: they are what is still on the screen when it has scrolled by.
  const [verdicts, others] = [
    document.sections.filter((one) => one.id === "verdicts"),
    document.sections.filter((one) => one.id !== "verdicts"),
  ];
  const facts = document.facts.map(([name, value]) => `  ${name}: ${value}`).join("\n");
  const sections = [...others, ...verdicts].map(sectionText).filter((text) => text !== "");
  return `${[`${document.title}\n${facts}`, ...sections].join("\n\n\n")}\n`.replaceAll("\u00a0", " ");
}
