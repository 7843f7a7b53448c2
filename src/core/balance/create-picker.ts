// The picker that a service's configuration names.

import { EwmaPicker } from "./ewma-picker.ts";
import { P2cPicker } from "./p2c-picker.ts";
import type { PickableEndpoint, Picker } from "./picker.ts";
import { RoundRobinPicker } from "./round-robin-picker.ts";

/** `kind` is `spec.loadBalancer` of a Service. */
export function createPicker<E extends PickableEndpoint>(kind: "ewma" | "p2c" | "round-robin"): Picker<E> {
  switch (kind) {
    case "ewma":
      return new EwmaPicker<E>();
    case "p2c":
      return new P2cPicker<E>();
    case "round-robin":
      return new RoundRobinPicker<E>();
  }
}
