// The report on the terminal: the tables to decide by. Pictures, details and command lines are in the HTML page and the markdown.

import type { ReportDocument, Section } from "./document.ts";
import { plainTable } from "./table.ts";

const MARKS = { plain: "note", warn: "CAREFUL", fail: "DOES NOT COUNT" } as const;

function sectionText(section: Section): string {
  const parts = section.blocks.flatMap((block) => {
    if (block.kind === "table") return block.isDetail ? [] : [plainTable(block)];
    if (block.kind === "remark") return section.id === "setup" ? [] : [`${MARKS[block.state]}: ${block.text}`];
    return [];
  });
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
