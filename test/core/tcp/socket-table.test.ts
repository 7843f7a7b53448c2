// Whose socket has an address, by tables as the kernel writes them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { socketOwner } from "../../../src/core/tcp/socket-table.ts";

const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:102C 00000000:0000 0A 00000000:00000000 00:00000000 00000000  2102        0 34634525 1 00000000499c9a70 100 0 0 10 0
   1: 01004D0A:B3F2 02004D0A:1F90 01 00000000:00000000 02:000004D2 00000000  1000        0 34634701 2 00000000c3a4d1da 20 4 30 10 -1
  12: 01004D0A:B3F4 02004D0A:1F90 01 00000010:00000000 01:0000001F 00000002     0        0 34634702 1 00000000c3a4d1db 20 4 30 10 -1
`;

const TCP6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 000077FD000000000000000001000000:C001 000077FD000000000000000002000000:0050 01 00000000:00000000 00:00000000 00000000  1001        0 5 1 0000000000000000 20 4 30 10 -1
   1: 0000000000000000FFFF000001004D0A:C002 0000000000000000FFFF000002004D0A:0050 01 00000000:00000000 00:00000000 00000000  1002        0 6 1 0000000000000000 20 4 30 10 -1
   2: B80D01200200010004000300CDAB0500:C003 00000000000000000000000000000000:0000 01 00000000:00000000 00:00000000 00000000  1003        0 7 1 0000000000000000 20 4 30 10 -1
`;

test("an IPv4 socket's owner, by its local address and port", () => {
  assert.equal(socketOwner(TCP, "10.77.0.1", 0xb3f2), 1000);
  assert.equal(socketOwner(TCP, "10.77.0.1", 0xb3f4), 0);
  assert.equal(socketOwner(TCP, "0.0.0.0", 4140), 2102);
});

test("who has the other end, another port or another address is nobody", () => {
  assert.equal(socketOwner(TCP, "10.77.0.2", 8080), null);
  assert.equal(socketOwner(TCP, "10.77.0.1", 0xb3f3), null);
  assert.equal(socketOwner(TCP, "1.0.77.10", 0xb3f2), null);
  assert.equal(socketOwner("", "10.77.0.1", 0xb3f2), null);
});

test("an IPv6 socket's, also one that has an IPv4 address", () => {
  assert.equal(socketOwner(TCP6, "fd77::1", 0xc001), 1001);
  assert.equal(socketOwner(TCP6, "10.77.0.1", 0xc002), 1002);
  assert.equal(socketOwner(TCP6, "2001:db8:1:2:3:4:5:abcd", 0xc003), 1003);
});

test("what is no canonical address is never looked for", () => {
  for (const host of [".*", "FD77::1", "fd77:0::1", "localhost", ""]) assert.equal(socketOwner(TCP6, host, 0xc001), null, host);
});
