// How a transport comes to its connection: by taking an accepted descriptor, or by dialling.
//
// A dial that fails is told later in every case, never from inside of the call that began it; one that was closed meanwhile is not told.

import { closeSync } from "node:fs";
import { ConnectWrap, type ConnectRequest, newTcpHandle } from "./native-handles.ts";
import { Transport, type TransportOwner } from "./transport.ts";
import type { WorkerLoop } from "./worker-loop.ts";

/** Takes ownership of a connected descriptor, with the options that the listening socket gave it. Throws (after closing it) when it is none. */
export function adoptConnection(loop: WorkerLoop, fd: number, owner: TransportOwner): Transport {
  const handle = newTcpHandle();
  const error = handle.open(fd);
  if (error !== 0) {
    handle.close();
    closeSync(fd);
    throw new Error(`cannot open descriptor ${fd}: errno ${error}`);
  }
  const transport = new Transport(loop, handle, owner);
  transport.begin();
  return transport;
}

/** Begins to connect; `onConnected(status)` is called later, 0 or a negative errno. Bytes may be written at once. */
export function dialConnection(
  loop: WorkerLoop,
  host: string,
  port: number,
  isIpv6: boolean,
  owner: TransportOwner,
  onConnected: (status: number) => void,
): Transport {
  const handle = newTcpHandle();
  const transport = new Transport(loop, handle, owner);
  const request = new ConnectWrap();
  transport.isConnecting = true;
  request.owner = transport;
  request.oncomplete = function (this: ConnectRequest, status: number): void {
    transport.isConnecting = false;
    loop.beginEvent();
    try {
      if (transport.isClosed) return;
      if (status === 0) {
        handle.setNoDelay(true);
        transport.begin();
      }
      onConnected(status);
    } catch (error) {
      loop.reportBug(error);
      transport.close(true);
    } finally {
      loop.endEvent();
    }
  };
  const error = isIpv6 ? handle.connect6(request, host, port) : handle.connect(request, host, port);
  if (error !== 0) {
    loop.defer(() => {
      if (!transport.isClosed) onConnected(error);
    });
  }
  return transport;
}
