// The few system calls that Node lacks, by koffi; the only file that imports it.
//
// Everything returns what the kernel says, errors as negative errno (as libuv does), and never throws. `koffi.load(null)`
// takes the C library that the process already runs on, so musl works as glibc does. Loaded by the main thread; a worker loads it
// when it first sees a stalled write (kernelQueue), or has a transparent listener (originalDestination).

import { Buffer } from "node:buffer";
import { constants } from "node:os";
import koffi from "koffi";
import { readSocketAddress, SOCKET_ADDRESS_BYTES, type SocketAddress } from "../core/tcp/socket-address.ts";

const libc = koffi.load(null);
const fcntl = libc.func("int fcntl(int, int, int)") as (fd: number, command: number, argument: number) => number;
const accept4 = libc.func("int accept4(int, void *, void *, int)") as (fd: number, address: null, size: null, flags: number) => number;
const close = libc.func("int close(int)") as (fd: number) => number;
const setsockopt = libc.func("int setsockopt(int, int, int, void *, uint32_t)") as (
  fd: number,
  level: number,
  option: number,
  value: Buffer,
  size: number,
) => number;
const getsockname = libc.func("int getsockname(int, void *, _Inout_ uint32_t *)") as (
  fd: number,
  address: Buffer,
  size: number[],
) => number;
const getpeername = libc.func("int getpeername(int, void *, _Inout_ uint32_t *)") as typeof getsockname;
const getsockopt = libc.func("int getsockopt(int, int, int, void *, _Inout_ uint32_t *)") as (
  fd: number,
  level: number,
  option: number,
  value: Buffer,
  size: number[],
) => number;
const ioctl = libc.func("int ioctl(int, unsigned long, void *)") as (fd: number, request: number, value: Buffer) => number;
const waitid = libc.func("int waitid(int, uint32_t, void *, int)") as (type: number, id: number, info: Buffer, options: number) => number;
const waitpid = libc.func("int waitpid(int, void *, int)") as (pid: number, status: null, options: number) => number;
koffi.struct("sock_fprog", { len: "uint16_t", filter: "void *" });
const attach = libc.func("setsockopt", "int", ["int", "int", "int", "sock_fprog *", "uint32_t"]) as (
  fd: number,
  level: number,
  option: number,
  value: { len: number; filter: Buffer },
  size: number,
) => number;

// Linux's numbers, the same on x86-64 and arm64.
const F_DUPFD_CLOEXEC = 1030;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SO_LINGER = 13;
const IPPROTO_TCP = 6;
const TCP_NOTSENT_LOWAT = 25;
const SIOCOUTQ = 0x5411;
const SOL_IP = 0;
const SOL_IPV6 = 41;
/** Of netfilter's connection tracking; the same number for both families. */
const SO_ORIGINAL_DST = 80;

const P_ALL = 0;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x01000000;
/** siginfo_t, and where it has the child's pid (64-bit systems). */
const SIGINFO_BYTES = 128;
const SIGINFO_PID = 16;

export const { EAGAIN, EMFILE, EINTR, ECONNABORTED } = constants.errno;
/** Not in Node's table. */
export const ENFILE = 23;

function errnoOf(result: number): number {
  return result >= 0 ? result : -koffi.errno();
}

/** A second descriptor for the same file, closed on exec (plain `dup` lets children inherit clients' sockets); or -errno. */
export function duplicate(fd: number): number {
  return errnoOf(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

/** Takes one connection from a listening descriptor's queue, non-blocking and closed on exec; or -errno (-EAGAIN: none waits). */
export function acceptConnection(listening: number): number {
  return errnoOf(accept4(listening, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

/** Closes a descriptor that nothing else owns. */
export function closeDescriptor(fd: number): void {
  close(fd);
}

const LINGER_NONE = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);

/** Closes a connection with RST: the client learns at once, and no TIME_WAIT is left here. */
export function abortConnection(fd: number): void {
  setsockopt(fd, SOL_SOCKET, SO_LINGER, LINGER_NONE, LINGER_NONE.length);
  close(fd);
}

/**
 * From so many bytes on that are not on the wire yet the kernel takes no more for this socket, and for those that a listening
 * one accepts from now on. What a fast reader has in flight does not count. Returns 0 or -errno.
 */
export function limitUnsentBytes(fd: number, bytes: number): number {
  const value = Buffer.alloc(4);
  value.writeInt32LE(bytes);
  return errnoOf(setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, value, value.length));
}

const outstanding = Buffer.alloc(4);

/** Bytes that the kernel has taken and the peer's kernel has not acknowledged; or -errno. */
export function kernelQueue(fd: number): number {
  const result = errnoOf(ioctl(fd, SIOCOUTQ, outstanding));
  return result < 0 ? result : outstanding.readInt32LE(0);
}

const nameBytes = Buffer.alloc(SOCKET_ADDRESS_BYTES);

/** The local end of a socket; null when the descriptor is closed or no internet socket. */
function localAddress(fd: number): SocketAddress | null {
  nameBytes.fill(0);
  return getsockname(fd, nameBytes, [SOCKET_ADDRESS_BYTES]) === 0 ? readSocketAddress(nameBytes) : null;
}

/** The local port of an internet socket; -1 when the descriptor is closed or something else. */
export function localPort(fd: number): number {
  return localAddress(fd)?.port ?? -1;
}

/** Where a connection was going before it was redirected here. */
export interface OriginalDestination extends SocketAddress {
  /** It was going here: nobody redirected it. */
  readonly isDirect: boolean;
  /** Who made it; null when that end is gone. */
  readonly peer: SocketAddress | null;
}

/**
 * Asks connection tracking where an accepted connection was going. Without an answer (nothing is tracked here, or the kernel has
 * no redirects at all) it was going where it arrived. Null when the descriptor is no connected internet socket.
 */
export function originalDestination(fd: number): OriginalDestination | null {
  const local = localAddress(fd);
  if (local === null) return null;
  // A client with an IPv4 address at an IPv6 socket was tracked as IPv4.
  const level = local.host.includes(":") ? SOL_IPV6 : SOL_IP;
  nameBytes.fill(0);
  const found = getsockopt(fd, level, SO_ORIGINAL_DST, nameBytes, [SOCKET_ADDRESS_BYTES]) === 0 ? readSocketAddress(nameBytes) : null;
  const peer = getpeername(fd, nameBytes, [SOCKET_ADDRESS_BYTES]) === 0 ? readSocketAddress(nameBytes) : null;
  if (found === null || (found.port === local.port && found.host === local.host)) return { ...local, isDirect: true, peer };
  return { ...found, isDirect: false, peer };
}

/** Return value of adjtimex (Linux's timex.h): nothing keeps the clock right. */
const TIME_ERROR = 5;
/** More than a `struct timex` has (208 bytes). All zero: nothing is set, the state is told. */
const TIMEX_BYTES = 256;

/** Whether the kernel's clock is synchronised, as far as it knows; null when it does not say. For a command: bound at each call. */
export function isClockSynchronised(): boolean | null {
  const adjtimex = libc.func("int adjtimex(void *)") as (buffer: Buffer) => number;
  const state = adjtimex(Buffer.alloc(TIMEX_BYTES));
  return state < 0 ? null : state !== TIME_ERROR;
}

/** Classic BPF over a TCP segment, 8 bytes per instruction, little-endian: SYN set -> drop, else -> the whole packet. */
const DROP_SYN = Buffer.from(
  "300000000d000000" + // load the flags: byte 13
    "4500000102000000" + // SYN? next, else skip one
    "0600000000000000" + // return 0
    "06000000ffffffff", // return everything
  "hex",
);
const DROP_SYN_COUNT = DROP_SYN.length / 8;

/**
 * Lets no new connection begin at a listening socket, while handshakes that are under way may finish: what makes it
 * possible to empty the queue for good before the close (which resets what is in it). Returns 0 or -errno.
 */
export function refuseNewConnections(listening: number): number {
  return errnoOf(attach(listening, SOL_SOCKET, SO_ATTACH_FILTER, { len: DROP_SYN_COUNT, filter: DROP_SYN }, 16));
}

/** The pid of a child that has ended and waits for somebody to ask how; it goes on waiting. 0: there is none. */
export function endedChild(): number {
  const info = Buffer.alloc(SIGINFO_BYTES);
  return waitid(P_ALL, 0, info, WEXITED | WNOHANG | WNOWAIT) === 0 ? info.readInt32LE(SIGINFO_PID) : 0;
}

/** Takes a child that has ended out of the kernel's table. Never for those that Node started: it asks for them itself. */
export function buryChild(pid: number): void {
  waitpid(pid, null, WNOHANG);
}
