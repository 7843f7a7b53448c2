// What else the machine is busy with: /proc/stat minus ourselves.
//
// "Ours" is this process with everything below it (origin, proxy, generator). Steal is time that a hypervisor gave to somebody
// else's machine while ours had work to do: nothing on this machine shows it otherwise. Where the kernel does not say (no /proc),
// shares are null, which is not 0.

import { readFileSync } from "node:fs";
import { cpuBetween, readCpu, type CpuReading } from "../support/proc.ts";

/** One reading; ticks of 10 ms, all cores together. */
export interface MachineReading {
  readonly busyTicks: number;
  readonly stealTicks: number;
  readonly totalTicks: number;
  readonly own: CpuReading;
}

/** Shares of all cores' time, 0..1. */
export interface MachineLoad {
  readonly othersShare: number | null;
  readonly stealShare: number | null;
}

const TICK_US = 10_000;

/** The `cpu` line: user nice system idle iowait irq softirq steal (guest times are in user and nice already). Null if there is none. */
export function parseStat(text: string): Omit<MachineReading, "own"> | null {
  const fields = /^cpu +(.+)$/m.exec(text)?.[1]?.split(" ").map(Number) ?? [];
  if (fields.length < 8 || fields.some(Number.isNaN)) return null;
  const [user, nice, system, idle, iowait, irq, softirq, steal] = fields as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const busyTicks = user + nice + system + irq + softirq;
  return { busyTicks, stealTicks: steal, totalTicks: busyTicks + idle + iowait + steal };
}

export function readMachine(): MachineReading | null {
  try {
    const stat = parseStat(readFileSync("/proc/stat", "utf8"));
    return stat === null ? null : { ...stat, own: readCpu(process.pid) };
  } catch {
    return null;
  }
}

export function loadBetween(before: MachineReading | null, after: MachineReading | null): MachineLoad {
  const ticks = before === null || after === null ? 0 : after.totalTicks - before.totalTicks;
  if (before === null || after === null || ticks <= 0) return { othersShare: null, stealShare: null };
  const ownTicks = cpuBetween(before.own, after.own).total / TICK_US;
  return {
    // Ticks are sampled, our own time is exact: the difference may come out below nothing.
    othersShare: Math.max(0, after.busyTicks - before.busyTicks - ownTicks) / ticks,
    stealShare: Math.max(0, after.stealTicks - before.stealTicks) / ticks,
  };
}
