// What the machine is, and how busy others keep it: /proc/stat for all, /proc/self for what we started and waited for.
//
// Time in interrupts belongs to nobody in particular (much of it is our own loopback traffic) and is left out of the others' share.

import { readFileSync } from "node:fs";
import { arch, availableParallelism, cpus, release, totalmem, type } from "node:os";
import type { Machine } from "../result.ts";
import { readCpu } from "./proc.ts";

const TICK_US = 10_000;

/** CPU time since boot, microseconds. */
export interface MachineReading {
  /** All cores, idle included. */
  readonly total: number;
  /** In programs: user, nice, system, and what the hypervisor gave to others. */
  readonly programs: number;
  /** What the hypervisor gave to other machines while this one had work to do; part of `programs`. */
  readonly stolen: number;
  /** This process, all below it, and all that it has started and that have ended. */
  readonly ours: number;
  /** Of the ended ones alone: load tools run to their end. */
  readonly ended: number;
}

export function readMachine(): MachineReading {
  const cpu = /^cpu +(.*)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1]?.split(" ").map(Number) ?? [];
  // user nice system idle iowait irq softirq steal; guest time is counted in user already.
  const [user = 0, nice = 0, system = 0, , , , , steal = 0] = cpu;
  const total = cpu.slice(0, 8).reduce((sum, ticks) => sum + ticks, 0);
  const stat = readFileSync("/proc/self/stat", "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ended = (Number(fields[13]) + Number(fields[14])) * TICK_US;
  const living = readCpu(process.pid);
  return {
    total: total * TICK_US,
    programs: (user + nice + system + steal) * TICK_US,
    stolen: steal * TICK_US,
    ours: living.user + living.system + ended,
    ended,
  };
}

/** Share of all cores' time that programs other than ours used between two readings, 0..1; null when too little time passed. */
export function othersShare(before: MachineReading, after: MachineReading): number | null {
  const total = after.total - before.total;
  if (total <= 0) return null;
  const others = after.programs - before.programs - (after.ours - before.ours);
  return Math.min(1, Math.max(0, others / total));
}

/** Share of all cores' time that the hypervisor gave away between two readings, 0..1; null when too little time passed. */
export function stolenShare(before: MachineReading, after: MachineReading): number | null {
  const total = after.total - before.total;
  return total <= 0 ? null : Math.max(0, after.stolen - before.stolen) / total;
}

export function describeMachine(busyShareBefore: number | null): Machine {
  return {
    cores: availableParallelism(),
    cpuModel: cpus()[0]?.model ?? "unknown",
    memoryKb: Math.round(totalmem() / 1024),
    kernel: `${type()} ${release()}`,
    arch: arch(),
    busyShareBefore,
  };
}
