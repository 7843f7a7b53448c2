// The tables of one scenario: latency, what is added to it, CPU per request, memory and connections, and what Weft says about itself.

import type { LoadDescription, Memory, Round, ScenarioResult, SubjectResult } from "../../result.ts";
import { addedAt } from "../../statistics/added.ts";
import { PERCENTILES, percentileOrNull } from "../../statistics/distribution.ts";
import { SPREAD_COUNT_MIN, median } from "../../statistics/spread.ts";
import { NONE, count, figure, megabytes, milliseconds, percent, withInterval } from "../figures.ts";
import { cpuRatio, directOf, latencyPairs, loadsWith, mergedLatency, roundsOf, subjectNamed } from "../rounds.ts";
import { type Table, table } from "../table.ts";

function emphasisOf(subjects: readonly SubjectResult[]): number | null {
  const at = subjects.findIndex((subject) => subject.role === "weft");
  return at < 0 ? null : at;
}

/** Median over the rounds that have the figure; null when none has. */
function medianOf(rounds: readonly Round[], of: (round: Round) => number | null): number | null {
  const values = rounds.map(of).filter((value) => value !== null);
  return values.length === 0 ? null : median(values);
}

export function latencyTable(scenario: ScenarioResult, load: LoadDescription): Table {
  const subjects = scenario.subjects.filter((subject) => mergedLatency(subject, load.id) !== null);
  const rows = subjects.map((subject) => {
    const all = mergedLatency(subject, load.id)!;
    const cells = PERCENTILES.map((percentile) => milliseconds(percentileOrNull(all, percentile)));
    const rounds = roundsOf(subject, load.id);
    return [subject.name, ...cells, milliseconds(all.maxUs), count(all.count), count(medianOf(rounds, (round) => round.achievedRps))];
  });
  const head = ["latency, ms", ...PERCENTILES.map((percentile) => `p${percentile}`), "max", "requests", "requests/s"];
  return table(`Latency: ${load.what}`, head, rows, {
    emphasis: emphasisOf(subjects),
    isDetail: true,
    note: `all rounds together${rateNote(load)}; a percentile that fewer than five requests exceeded is not shown`,
  });
}

function rateNote(load: LoadDescription): string {
  return load.offeredRps === null
    ? ""
    : `, counted from the moment at which a request was due, ${count(load.offeredRps)} of them offered per second`;
}

/** Percentiles through each subject minus percentiles direct. Null without a direct run to compare with. */
export function addedTable(scenario: ScenarioResult, load: LoadDescription): Table | null {
  const direct = directOf(scenario);
  if (direct === null) return null;
  const subjects = scenario.subjects.filter((subject) => subject !== direct && latencyPairs(subject, direct, load.id).length > 0);
  if (subjects.length === 0) return null;
  const rows = subjects.map((subject) => {
    const pairs = latencyPairs(subject, direct, load.id);
    const cells = PERCENTILES.map((percentile) => {
      const added = addedAt(pairs, percentile);
      return withInterval(milliseconds(added.us), added.interval, milliseconds);
    });
    return [subject.name, ...cells, String(pairs.length)];
  });
  return table(`Added to direct: ${load.what}`, ["added, ms", ...PERCENTILES.map((one) => `p${one}`), "pairs"], rows, {
    emphasis: emphasisOf(subjects),
    note: "percentile through the proxy minus percentile direct, with its 95 % interval (from five pairs of rounds on)",
  });
}

/** Null when nobody's CPU was measured. */
export function cpuTable(scenario: ScenarioResult, load: LoadDescription): Table | null {
  const subjects = scenario.subjects.filter((subject) => roundsOf(subject, load.id).some((round) => round.cpu !== null));
  if (subjects.length === 0) return null;
  const reference = scenario.reference === null ? null : subjectNamed(scenario, scenario.reference);
  const rows = subjects.map((subject) => {
    const rounds = roundsOf(subject, load.id);
    const ratio = reference === null || reference === subject ? null : cpuRatio(subject, reference, load.id);
    const own = reference === subject ? "1" : NONE;
    return [
      subject.name,
      figure(medianOf(rounds, (round) => round.cpu?.totalUs ?? null)),
      figure(medianOf(rounds, (round) => round.cpu?.userUs ?? null)),
      figure(medianOf(rounds, (round) => round.cpu?.systemUs ?? null)),
      ratio === null ? own : withInterval(figure(ratio.median), ratio.interval, figure),
      ratio === null || ratio.pairs < SPREAD_COUNT_MIN ? NONE : `${figure(ratio.q1)} to ${figure(ratio.q3)}`,
      count(medianOf(rounds, (round) => round.achievedRps)),
      String(rounds.length),
    ];
  });
  const beside = reference === null ? "x reference" : `x ${reference.name}`;
  return table(
    `CPU per request: ${load.what}`,
    ["CPU µs/request", "all", "user", "system", beside, "middle half", "requests/s", "rounds"],
    rows,
    {
      emphasis: emphasisOf(subjects),
      note: "medians; the ratio is the median of the ratios of rounds that ran right after each other, with its 95 % interval",
    },
  );
}

export function resourceTable(scenario: ScenarioResult): Table | null {
  const subjects = scenario.subjects.filter((subject) => subject.memoryAtEnd !== null);
  if (subjects.length === 0) return null;
  const memory = (reading: Memory | null, of: (reading: Memory) => number): string => megabytes(reading === null ? null : of(reading));
  const rows = subjects.map((subject) => {
    const rounds = scenario.loads.flatMap((load) => roundsOf(subject, load.id));
    const highest = rounds.reduce((most, round) => Math.max(most, round.memory?.privateKb ?? 0), 0);
    return [
      subject.name,
      memory(subject.memoryAtStart, (one) => one.privateKb),
      megabytes(highest === 0 ? null : highest),
      memory(subject.memoryAtEnd, (one) => one.privateKb),
      memory(subject.memoryAtEnd, (one) => one.pssKb),
      memory(subject.memoryAtEnd, (one) => one.rssKb),
      count(medianOf(rounds, (round) => round.connections.downstreamOpened)),
      count(medianOf(rounds, (round) => round.connections.upstreamOpened)),
      percent(
        medianOf(rounds, (round) => round.connections.upstreamReuse),
        1,
      ),
    ];
  });
  const head = ["MB", "private at start", "highest", "at end", "PSS", "RSS", "connections in", "out", "reused"];
  return table("Memory and connections", head, rows, {
    emphasis: emphasisOf(subjects),
    isDetail: true,
    note: "connections: median of the rounds; reused: share of requests that found an open connection to the origin",
  });
}

/** What Weft says about itself; null when it did not take part or said nothing. */
export function weftTable(scenario: ScenarioResult): Table | null {
  const weft = scenario.subjects.find((subject) => subject.role === "weft")?.weft ?? null;
  if (weft === null || weft.threads.length === 0) return null;
  const rows = weft.threads.map((thread) => [
    thread.thread,
    percent(thread.eventLoopUtilization),
    count(thread.gc.count),
    figure(thread.gc.totalMs),
    figure(thread.gc.maxMs),
    `${thread.gc.minor} / ${thread.gc.major} / ${thread.gc.incremental}`,
    figure(thread.durationMs / 1000),
  ]);
  const inside = `time inside Weft: p50 ${figure(weft.overheadP50Us)} µs, p99 ${figure(weft.overheadP99Us)} µs; event loop delay p99 ${figure(weft.loopDelayP99Us)} µs`;
  const copied = weft.copiedShare === null ? "" : `; ${percent(weft.copiedShare, 1)} of the bytes of bodies were copied`;
  const head = ["Weft's threads", "loop in use", "GC pauses", "ms in all", "longest, ms", "minor / major / incremental", "seconds"];
  return table("Inside Weft (a lap of its own, with a probe)", head, rows, { isDetail: true, note: inside + copied });
}

/** All tables of a scenario, the ones to read first in front. */
export function scenarioTables(scenario: ScenarioResult): Table[] {
  const cpu = loadsWith(scenario, (round) => round.cpu !== null).filter((load) => load.loop === "closed");
  const cpuOpen = loadsWith(scenario, (round) => round.cpu !== null).filter((load) => load.loop === "open");
  const latency = loadsWith(scenario, (round) => round.latency !== null);
  return [
    ...cpu.map((load) => cpuTable(scenario, load)),
    ...latency.flatMap((load) => [addedTable(scenario, load), latencyTable(scenario, load)]),
    ...cpuOpen.map((load) => cpuTable(scenario, load)),
    resourceTable(scenario),
    weftTable(scenario),
  ].filter((one) => one !== null);
}
