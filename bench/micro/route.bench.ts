// From the authority of a request to a service, by the number of services.
//
//   npm run bench -- micro route
//
// This is the slow way, taken once per connection and authority: what a worker remembers by bytes does not come here.

import { type RoutedService, type RouteLookup, RouteTable } from "../../src/core/route/route-table.ts";
import { serviceHosts } from "../../src/core/route/service-names.ts";
import { type MicroCase, runMicro } from "./support/micro.ts";

const NAMESPACE = "shop";

function tableOf(count: number): RouteTable<RoutedService> {
  const services = Array.from({ length: count }, (_, i) => ({
    key: `${NAMESPACE}/service-${i}`,
    hosts: serviceHosts(`service-${i}`, NAMESPACE, NAMESPACE),
    ports: [{ port: 80, protocol: "detect" }],
  }));
  return new RouteTable(services, { default: null });
}

function caseOf(what: string, count: number, authority: string, kind: RouteLookup<RoutedService>["kind"]): MicroCase {
  const table = tableOf(count);
  return {
    name: `${what}, ${count} services`,
    work: () => table.lookup(authority),
    isRight: (found) => (found as RouteLookup<RoutedService>).kind === kind,
  };
}

await runMicro([
  [10, 5000].flatMap((count) => [
    caseOf("short name", count, "service-7", "service"),
    caseOf("full name, port, other case", count, "Service-7.shop.svc.cluster.local:80", "service"),
    caseOf("address", count, "127.0.0.1:4140", "none"),
    caseOf("unknown name", count, "nobody.shop", "unknown"),
    caseOf("malformed", count, "service-7:port", "unknown"),
  ]),
]);
